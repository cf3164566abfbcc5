# SPDX-License-Identifier: Apache-2.0
#
# Writes Prometheus' alerting rules.
#
#   awk -v source=DIR -f src/rows.awk -f data/expressions.awk -f data/alerts.awk

function yaml(text) {
	gsub(/'/, "''", text)
	return "'" text "'"
}

BEGIN {
	read_catalog()
	print "# SPDX-License" "-Identifier: Apache-2.0"
	print "# Alerts for nexusd; to be named in rule_files of prometheus.yml."
	print "groups:\n  - name: nexusd\n    rules:"
	while (next_row(source "/data/alerts.def", "ALERT")) {
		print "      - alert: " row[1]
		print "        expr: " yaml(expression(row[4]))
		print "        for: " row[3]
		print "        labels:\n          severity: " row[2]
		print "        annotations:\n          summary: " yaml(row[5])
		print "          description: " yaml(row[6])
	}
}
