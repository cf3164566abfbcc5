# SPDX-License-Identifier: Apache-2.0
#
# Writes the English catalog of messages, which `journalctl -x` shows, from the table of messages.
#
#   awk -v source=DIR -f src/rows.awk -f catalog.awk

# In lines of at most 76 characters.
function fold(text,    i, n, words, column) {
	n = split(text, words, / +/)
	for (i = 1; i <= n; i++) {
		if (column && column + 1 + length(words[i]) > 76) {
			print ""
			column = 0
		}
		printf "%s%s", (column ? " " : ""), words[i]
		column += (column ? 1 : 0) + length(words[i])
	}
	print ""
}

BEGIN {
	read_message_ids(source "/include/nexusd/messages.h")
	print "# SPDX-License-Identifier: Apache-2.0"
	while (next_row(source "/src/base/message.def", "MESSAGE")) {
		printf "\n-- %s\nSubject: %s\nDefined-By: nexusd\n", message_id[row[1]], row[3]
		print "Documentation: man:nexusd-journal(7)\n"
		fold(row[4])
		print ""
		fold(row[5])
	}
}
