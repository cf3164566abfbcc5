# SPDX-License-Identifier: Apache-2.0
#
# Writes the tables of nexusd into a manual: copies the template and puts the rows of catalog.def,
# schema.def, routes.def or problem.def in place of the lines @METRICS@, @OPTIONS@, @ROUTES@ and
# @PROBLEMS@, the names of the options that take a restart in place of @RESTART@, and the version in
# place of @VERSION@. The tables have one row on one line.
#
#   awk -v source=DIR -v version=V -f expand.awk TEMPLATE

# Splits a row NAME(a, "b", C("d", "e"), ...) into row[1..n]; quotes go, inner lists keep theirs.
function split_row(text,    i, c, depth, quoted, field, n) {
	split("", row)
	sub(/^[A-Z_]+\(/, "", text)
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		if (c == "\"") {
			quoted = !quoted
			if (depth)
				field = field c
		} else if (!quoted && !depth && (c == "," || c == ")")) {
			gsub(/^ +| +$/, "", field)
			row[++n] = field
			field = ""
			if (c == ")")
				return n
		} else {
			if (!quoted && c == "(")
				depth++
			if (!quoted && c == ")")
				depth--
			field = field c
		}
	}
	return n
}

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

# The words of LABELS("a", "b").
function labels(text) {
	if (text !~ /"/)
		return ""
	gsub(/^[A-Z_]*\(|\)$|"|,/, "", text)
	return text
}

function metric() {
	printf ".It Li %s Pq %s\n%s", row[3], tolower(row[2]), prose(row[8])
	if (labels(row[5]) != "")
		printf "Labels: %s.\n", labels(row[5])
}

function problem() {
	printf ".It %s Li %s Pq %s\n%s", row[2], row[4], tolower(row[5]), prose(row[7])
}

function route() {
	printf ".It Li \"%s %s\"\n%s", row[2], row[3], prose(row[7])
	if (row[4] != "ANY")
		printf "Face: %s.\n", tolower(row[4])
}

BEGIN {
	group["LISTENER"] = "listeners."
	group["BACKEND"] = "backends."
	group["MODEL"] = "backends.models."
	group["ALIAS"] = "routing.aliases."
	group["FALLBACK"] = "routing.fallbacks."
	group["PRICE"] = "prices."
	# what stands behind the equals sign; unlisted types are texts
	kind["GROUPS"] = "groups"
	kind["STRINGS"] = "texts"
	kind["BOUNDS"] = "numbers"
	kind["FLAGS"] = "words"
	kind["BOOL"] = kind["TRISTATE"] = "boolean"
	kind["COUNT"] = "number"
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
	printf ".It Ic %s%s No = Ar %s\n%s", group[row[1]], row[2], type, prose(row[10])
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

function expand(table, rows,    file, line) {
	file = source "/src/" table
	while ((getline line < file) > 0) {
		if (line !~ "^" rows "\\(")
			continue
		split_row(line)
		if (only_restart)
			restart()
		else if (rows == "METRIC")
			metric()
		else if (rows == "OPTION")
			option()
		else if (rows == "ROUTE")
			route()
		else
			problem()
		n_rows++
	}
	close(file)
	if (!n_rows) {
		print "expand.awk: no rows in " file > "/dev/stderr"
		exit 1
	}
	n_rows = 0
}

$0 == "@METRICS@" { expand("metrics/catalog.def", "METRIC"); next }
$0 == "@OPTIONS@" { expand("config/schema.def", "OPTION"); next }
$0 == "@RESTART@" {
	only_restart = 1
	expand("config/schema.def", "OPTION")
	only_restart = 0
	print restarts " ."
	next
}
$0 == "@ROUTES@" { expand("api/routes.def", "ROUTE"); next }
$0 == "@PROBLEMS@" { expand("base/problem.def", "PROBLEM"); next }
{ gsub(/@VERSION@/, version); print }
