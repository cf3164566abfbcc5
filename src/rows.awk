# SPDX-License-Identifier: Apache-2.0
#
# Reads the tables of nexusd for the generators of manuals, dashboard and alerts: one row on one
# line, NAME(a, "b", C("d", "e"), ...).

# Says what is wrong and ends the program with a failure.
function fail(text) {
	print text > "/dev/stderr"
	exit 1
}

# Splits a row into row[1..n], which it returns; quotes go, inner lists keep theirs.
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
			if (field ~ /^N_\("/) # a text that is translated
				field = substr(field, 5, length(field) - 6)
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

# Makes row[] the next row whose macro matches `macros`, and row_macro that macro; 0 after the last
# one. A table without such rows is an error.
function next_row(file, macros,    line, status) {
	while ((status = (getline line < file)) > 0) {
		if (line ~ "^(" macros ")\\(") {
			row_macro = substr(line, 1, index(line, "(") - 1)
			split_row(line)
			n_rows[file]++
			return 1
		}
	}
	if (status < 0 || !n_rows[file])
		fail("no rows " macros " in " file)
	close(file)
	return 0
}

# The name from the top of an option of this scope.
function option_name(scope, path,    list) {
	list["LISTENER"] = "listeners."
	list["BACKEND"] = "backends."
	list["MODEL"] = "backends.models."
	list["ALIAS"] = "routing.aliases."
	list["FALLBACK"] = "routing.fallbacks."
	list["POLICY"] = "routing.policies."
	list["PRICE"] = "prices."
	return list[scope] path
}

# The kind of an argument of a command: X of "[X...]".
function kind_of(argument) {
	gsub(/[^A-Z]/, "", argument)
	return argument
}

# The words of LABELS("a", "b"), with blanks between; "" of NO_LABELS.
function labels(text) {
	if (text !~ /"/)
		return ""
	gsub(/^[A-Z_]*\(|\)$|"|,/, "", text)
	return text
}

# Makes message_id[X] the value of each NEXUSD_MESSAGE_X in a header.
function read_message_ids(header,    line, words) {
	while ((getline line < header) > 0)
		if (line ~ /^#define NEXUSD_MESSAGE_/) {
			split(line, words, /[ "]+/)
			message_id[substr(words[2], length("NEXUSD_MESSAGE_") + 1)] = words[3]
		}
	close(header)
}
