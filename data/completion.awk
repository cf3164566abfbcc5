# SPDX-License-Identifier: Apache-2.0
#
# Writes a completion for nexusctl: copies the template of a shell and puts in what the tables say:
# commands and flags, options, metrics.
#
#   awk -v source=DIR -v shell=bash|zsh -f src/rows.awk -f completion.awk TEMPLATE

function add(list, word) {
	return list (list == "" ? "" : " ") word
}

# Inside single quotes, in brackets of _arguments.
function quoted(text) {
	gsub(/'/, "'\\''", text)
	gsub(/\[/, "\\[", text)
	gsub(/\]/, "\\]", text)
	gsub(/:/, "\\:", text)
	return text
}

function command(    n, word, first) {
	n = split(row[2], word, " ")
	first = word[1]
	if (!(first in seen)) {
		seen[first] = 1
		begin = add(begin, first)
		described = described "\t\t\t'" first ":" quoted(n > 1 ? "" : row[6]) "'\n"
	}
	if (n > 1) {
		if (!(first in second))
			order[++n_groups] = first
		second[first] = add(second[first], word[2])
		described_second[first] = described_second[first] "\t\t\t'" word[2] ":" quoted(row[6]) "'\n"
	}
	if (row[3] != "")
		argument(row[2], kind_of(row[3]), row[3] ~ /\.\.\./)
}

function argument(path, kind, many) {
	if (shell == "bash")
		cases = cases "\t\t\t'" path "'" (many ? "*" : "") ") candidates=$(_nexusctl_candidates " kind ") ;;\n"
	else
		cases = cases "\t'" path "'" (many ? "*" : "") ") _nexusctl_argument " kind " ;;\n"
}

function flag() {
	flags = add(flags, "--" row[2])
	flags_help = flags_help "\t\t'--" row[2] (row[3] == "" ? "" : "=") "[" quoted(row[4]) "]" \
		(row[3] == "" ? "" : ":" tolower(row[3]) ":" (row[2] == "socket" ? "_files" : "")) "' \\\n"
}

# The words of the first place, and of the second.
function words(    i) {
	if (shell == "bash") {
		cases = cases "\t\t\t'') candidates=$(printf '%s\\n' " begin ") ;;\n"
		for (i = 1; i <= n_groups; i++)
			cases = cases "\t\t\t'" order[i] "') candidates=$(printf '%s\\n' " second[order[i]] ") ;;\n"
		return
	}
	cases = cases "\t'')\n\t\tcommands=(\n" described "\t\t)\n\t\t_describe command commands\n\t\t;;\n"
	for (i = 1; i <= n_groups; i++)
		cases = cases "\t'" order[i] "')\n\t\tcommands=(\n" described_second[order[i]] \
			"\t\t)\n\t\t_describe command commands\n\t\t;;\n"
}

function option(    name) {
	name = option_name(row[1], row[2])
	keys = add(keys, name)
	if (name == "log.level")
		levels = row[8]
}

BEGIN {
	while (next_row(source "/src/config/schema.def", "OPTION"))
		option()
	while (next_row(source "/src/metrics/catalog.def", "METRIC"))
		metrics = add(metrics, row[3])
	while (next_row(source "/src/ctl/commands.def", "COMMAND|FLAG")) {
		if (row_macro == "FLAG")
			flag()
		else
			command()
	}
	words()
}

$0 == "@CASES@" { printf "%s", cases; next }
$0 == "@FLAGS_HELP@" { printf "%s", flags_help; next }
{
	gsub(/@LEVELS@/, levels)
	gsub(/@KEYS@/, keys)
	gsub(/@METRICS@/, metrics)
	gsub(/@FLAGS@/, flags)
	print
}
