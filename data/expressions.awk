# SPDX-License-Identifier: Apache-2.0
#
# PromQL whose metrics are named by their rows in catalog.def, for the alerts and the dashboard:
# <REQUESTS>, of a histogram <DURATION.bucket>, with matchers <REQUESTS status=~'5..'>. Quotes are
# single in the tables. A wrong name fails the build.

# Fills name[], kind[], unit[], label_list[], group[] and help[] by id, and ids[1..n_ids].
function read_catalog() {
	while (next_row(source "/src/metrics/catalog.def", "METRIC")) {
		ids[++n_ids] = row[1]
		kind[row[1]] = row[2]
		name[row[1]] = row[3]
		unit[row[1]] = row[4]
		label_list[row[1]] = labels(row[5])
		group[row[1]] = row[7]
		help[row[1]] = row[8]
	}
}

# Every reference in the text becomes a selector; used[id] tells who was named.
function expression(text,    out, reference) {
	while (match(text, /<[A-Z][^>]*>/)) {
		out = out substr(text, 1, RSTART - 1)
		reference = substr(text, RSTART + 1, RLENGTH - 2)
		text = substr(text, RSTART + RLENGTH)
		out = out selector(reference)
	}
	out = out text
	gsub(/'/, "\"", out)
	return out
}

# ID, ID.suffix or either with matchers behind it; narrowed by the variables of a dashboard, which
# narrows_by[label] has.
function selector(reference,    id, suffix, matchers) {
	match(reference, /^[A-Z_]+/)
	id = substr(reference, 1, RLENGTH)
	reference = substr(reference, RLENGTH + 1)
	if (match(reference, /^\.[a-z]+/)) {
		suffix = "_" substr(reference, 2, RLENGTH - 1)
		reference = substr(reference, RLENGTH + 1)
	}
	if (!(id in name))
		fail("catalog.def has no row " id)
	if ((kind[id] == "HISTOGRAM") != (suffix ~ /^_(bucket|sum|count)$/))
		fail(id " is a " tolower(kind[id]) ": it has no sample " name[id] suffix)
	used[id] = 1
	matchers = reference variables("instance " label_list[id])
	sub(/^[ ,]+/, "", matchers)
	return name[id] suffix (matchers == "" ? "" : "{" matchers "}")
}

function variables(list,    words, n, i, out) {
	n = split(list, words, " ")
	for (i = 1; i <= n; i++)
		if (words[i] in narrows_by)
			out = out ", " words[i] "=~'$" narrows_by[words[i]] "'"
	return out
}
