# SPDX-License-Identifier: Apache-2.0
#
# Writes the tables of nexusd into a manual: copies the template and puts the rows of a table in
# place of a line that names it, such as @METRICS@ or @OPTIONS@, the names of the options that take
# a restart in place of @RESTART@, and the version and folders in place of @VERSION@,
# @pkgdatadir@, @docdir@ and @prefix@.
#
#   awk -v source=DIR -v version=V -v pkgdatadir=DIR -v docdir=DIR -v prefix=DIR -f src/rows.awk \
#       -f expand.awk TEMPLATE

# One sentence a line, as mdoc(7) wants it; a line must not begin with a control character.
function prose(text,    n, i, sentence, out) {
	gsub(/\\/, "\\e", text)
	n = split(text, sentence, /\. +/)
	for (i = 1; i <= n; i++) {
		if (sentence[i] ~ /^[.']/)
			sentence[i] = "\\&" sentence[i]
		out = out sentence[i] (i < n ? ".\n" : "\n")
	}
	return out
}

function metric() {
	printf ".It Li %s Pq %s\n%s", row[3], tolower(row[2]), prose(row[8])
	if (labels(row[5]) != "")
		printf "Labels: %s.\n", labels(row[5])
	if (row[2] == "HISTOGRAM")
		printf "Buckets: %s.\n", tolower(row[6])
}

# One subsection a group.
function metrics(    file, id, n, n_shown) {
	file = source "/src/metrics/catalog.def"
	while (next_row(file, "METRIC"))
		n++
	while (next_row(source "/src/metrics/groups.def", "GROUP")) {
		id = row[1]
		printf ".Ss %s\n.Bl -tag -width Ds\n", row[2]
		while (next_row(file, "METRIC"))
			if (row[7] == id) {
				metric()
				n_shown++
			}
		print ".El"
	}
	if (n_shown != n)
		fail("catalog.def: a group that groups.def does not have")
}

function buckets() {
	printf ".It Ic %s Pq %s\n%s\n", tolower(row[1]),
		(row[2] == "NONE" ? "numbers" : tolower(row[2])), row[3]
}

function problem() {
	printf ".It %s Li %s Pq %s\n%s", row[2], row[4], tolower(row[5]), prose(row[7])
}

# The catalog's @FIELD@ is the field.
function message() {
	gsub(/@/, "", row[3])
	gsub(/@/, "", row[4])
	printf ".It Dv %s Pq %s , Li %s\n%s", row[1], tolower(row[2]), message_id[row[1]],
		prose(row[3] ". " row[4])
	if (row[5] !~ /^No action/)
		printf "%s", prose(row[5])
}

function field() {
	printf ".It Va NEXUSD_%s Pq %s\n%s", row[1], tolower(row[2]), prose(row[3])
}

function route() {
	printf ".It Li \"%s %s\"\n%s", row[2], row[3], prose(row[7])
	if (row[4] != "ANY")
		printf "Face: %s.\n", tolower(row[4])
}

BEGIN {
	# what stands behind the equals sign; unlisted types are texts
	kind["GROUPS"] = "groups"
	kind["STRINGS"] = kind["GLOBS"] = kind["ORIGINS"] = kind["TAGS"] = "texts"
	kind["BOUNDS"] = "numbers"
	kind["FLAGS"] = "words"
	kind["BOOL"] = kind["TRISTATE"] = "boolean"
	kind["COUNT"] = kind["SHARE"] = "number"
	kind["SIZE"] = "size"
	kind["DURATION"] = "seconds"
	kind["PRICE"] = "dollars"
	kind["OCTAL"] = "mode"
	kind["WORD"] = kind["CHOICE"] = kind["EITHER"] = "word"
	kind["NAME"] = "name"
	kind["PATH"] = kind["ROUTE"] = "path"
	kind["URL"] = "url"
	kind["ADDRESS"] = "address"
}

# scope path type field default min max unit reload help
function option(    type, words) {
	type = row[3] in kind ? kind[row[3]] : "text"
	printf ".It Ic %s No = Ar %s\n%s", option_name(row[1], row[2]), type, prose(row[10])
	words = row[8]
	gsub(/ /, ", ", words)
	if (type == "word")
		printf "One of: %s.\n", words
	else if (type == "words")
		printf "Some of: %s.\n", words
	else if (type ~ /^(number|size|seconds|dollars)$/)
		printf "From %s to %s%s.\n", row[6], row[7], (row[8] ? " " row[8] : "")
	if (row[5] == "REQUIRED")
		print "Required."
	else if (row[5] != "")
		printf "Default: %s.\n", row[5]
	if (row[9] == "RESTART")
		print "A change takes a restart."
}

# The options outside lists; a changed list counts as one.
function restart() {
	if (row[1] == "ROOT" && row[9] == "RESTART")
		restarts = restarts (restarts ? " ,\n.Ic " : ".Ic ") row[2]
}

# words arguments: what is in brackets may be left out
function command(    argument) {
	argument = row[3]
	printf ".It Cm %s", row[2]
	if (argument ~ /^\[/)
		printf " Op"
	if (argument != "")
		printf " Ar %s", tolower(argument ~ /\.\.\./ ? substr(argument, 2, index(argument, ".") - 2) " ..." : kind_of(argument))
	printf "\n%s", prose(row[6])
	if (row[4] == "ADMIN")
		print "Needs the admin socket."
	else if (row[4] == "FILE")
		print "Without a file it needs the admin socket."
}

function flag() {
	printf ".It Fl -%s%s\n%s", row[2], (row[3] == "" ? "" : " Ar " tolower(row[3])), prose(row[4])
}

function expand(table, macro) {
	while (next_row(source "/src/" table, macro)) {
		if (only_restart)
			restart()
		else if (macro == "BUCKETS")
			buckets()
		else if (macro == "OPTION")
			option()
		else if (macro == "ROUTE")
			route()
		else if (macro == "COMMAND")
			command()
		else if (macro == "FLAG")
			flag()
		else if (macro == "MESSAGE")
			message()
		else if (macro == "FIELD")
			field()
		else
			problem()
	}
}

$0 == "@METRICS@" { metrics(); next }
$0 == "@BUCKETS@" { expand("metrics/buckets.def", "BUCKETS"); next }
$0 == "@OPTIONS@" { expand("config/schema.def", "OPTION"); next }
$0 == "@RESTART@" {
	only_restart = 1
	expand("config/schema.def", "OPTION")
	only_restart = 0
	print restarts " ."
	next
}
$0 == "@ROUTES@" { expand("api/routes.def", "ROUTE"); next }
$0 == "@COMMANDS@" { expand("ctl/commands.def", "COMMAND"); next }
$0 == "@FLAGS@" { expand("ctl/commands.def", "FLAG"); next }
$0 == "@MESSAGES@" {
	read_message_ids(source "/include/nexusd/messages.h")
	expand("base/message.def", "MESSAGE")
	next
}
$0 == "@FIELDS@" { expand("base/message.def", "FIELD"); next }
$0 == "@PROBLEMS@" { expand("base/problem.def", "PROBLEM"); next }
{
	gsub(/@VERSION@/, version)
	gsub(/@pkgdatadir@/, pkgdatadir)
	gsub(/@docdir@/, docdir)
	gsub(/@prefix@/, prefix)
	print
}
