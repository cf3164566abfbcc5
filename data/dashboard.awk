# SPDX-License-Identifier: Apache-2.0
#
# Writes Grafana's dashboard: a row of panels for each group of groups.def, those of panels.def and
# one for each family that none of them names.
#
#   awk -v source=DIR -f src/rows.awk -f data/expressions.awk -f data/dashboard.awk

function json(text) {
	gsub(/\\/, "\\\\", text)
	gsub(/"/, "\\\"", text)
	return "\"" text "\""
}

# --- queries ---

# The labels of a family that no variable narrows.
function own_labels(id,    words, n, i, out) {
	n = split(label_list[id], words, " ")
	for (i = 1; i <= n; i++)
		if (!(words[i] in narrows_by))
			out = out (out == "" ? "" : " ") words[i]
	return out
}

function comma(list) {
	gsub(/ /, ", ", list)
	return list
}

function legend_of(list) {
	gsub(/[a-z_]+/, "{{&}}", list)
	return list
}

function begin_panel(group, type, unit, title, colours) {
	if (!(group in title_of))
		fail(title ": groups.def has no group " group)
	panel_group[++n_panels] = group
	panel_type[n_panels] = type
	panel_unit[n_panels] = unit
	panel_title[n_panels] = title
	panel_colours[n_panels] = colours
}

# Adds a query to the last panel, and what the families in it mean.
function add_query(legend, text,    format, rest, id) {
	format = panel_type[n_panels] == "table" ? "table" : "time_series"
	panel_queries[n_panels] = panel_queries[n_panels] sprintf( \
		"%s{\"refId\":\"%c\",%s,\"expr\":%s,\"legendFormat\":%s,\"format\":\"%s\"," \
		"\"instant\":%s,\"range\":%s}",
		(n_queries[n_panels] ? ",\n        " : ""), 65 + n_queries[n_panels], datasource,
		json(expression(text)), json(legend), format,
		(format == "table" ? "true" : "false"), (format == "table" ? "false" : "true"))
	n_queries[n_panels]++
	for (rest = text; match(rest, /<[A-Z_]+/); rest = substr(rest, RSTART + RLENGTH)) {
		id = substr(rest, RSTART + 1, RLENGTH - 1)
		if (index(panel_help[n_panels], help[id]) == 0)
			panel_help[n_panels] = panel_help[n_panels] \
				(panel_help[n_panels] == "" ? "" : " ") help[id]
	}
}

function add_quantiles(id, list,    i, of) {
	of = "(rate(<" id ".bucket>[$__rate_interval])))"
	if (list != "") {
		add_query(legend_of(list), "histogram_quantile(0.95, sum by (le, " comma(list) ") " of)
		return
	}
	add_query("median", "histogram_quantile(0.5, sum by (le) " of)
	add_query("95 of 100", "histogram_quantile(0.95, sum by (le) " of)
	add_query("99 of 100", "histogram_quantile(0.99, sum by (le) " of)
}

# The panel of a family that panels.def does not name.
function add_panel_of(id,    title, list) {
	title = toupper(substr(id, 1, 1)) tolower(substr(id, 2))
	gsub(/_/, " ", title)
	list = label_list[id]
	if (kind[id] == "INFO") {
		begin_panel(group[id], "table", "none", title, "")
		add_query("", "<" id ">")
	} else if (kind[id] == "HISTOGRAM") {
		list = own_labels(id)
		begin_panel(group[id], "timeseries", unit_of[unit[id]],
			title (list == "" ? "" : ", 95 of 100"), "")
		add_quantiles(id, list)
	} else if (kind[id] == "COUNTER") {
		begin_panel(group[id], "timeseries", rate_of[unit[id]], title, "")
		add_query(legend_of(list), "sum by (" (list == "" ? "instance" : comma(list)) \
			") (rate(<" id ">[$__rate_interval]))")
	} else {
		begin_panel(group[id], "timeseries", unit_of[unit[id]], title, "")
		add_query(legend_of("instance " list), "<" id ">")
	}
}

# --- panels ---

# Left to right, then below; a panel of another height begins a new line.
function place(type) {
	if (x + width[type] > 24 || (x && line_height != height[type])) {
		x = 0
		y += line_height
	}
	line_height = height[type]
	printf "\"gridPos\":{\"x\":%d,\"y\":%d,\"w\":%d,\"h\":%d}", x, y, width[type], height[type]
	x += width[type]
}

# "green orange=0.01": a colour, and others from a value on.
function thresholds(colours,    words, part, n, i, out) {
	n = split(colours == "" ? "green" : colours, words, " ")
	for (i = 1; i <= n; i++) {
		split(words[i], part, "=")
		out = out (i > 1 ? "," : "") sprintf("{\"color\":\"%s\",\"value\":%s}", part[1],
			(i > 1 ? part[2] : "null"))
	}
	return "\"thresholds\":{\"mode\":\"absolute\",\"steps\":[" out "]}"
}

function open_panel(type, title) {
	if (n_shown++)
		printf ","
	printf "\n    {\"id\":%d,\"type\":\"%s\",\"title\":%s,\n      ", n_shown, type, json(title)
	place(type)
}

function print_panel(i,    type) {
	type = panel_type[i]
	if (!(type in options))
		fail("panels.def: there is no panel of the type " type)
	open_panel(type, panel_title[i])
	printf ",\n      \"description\":%s,%s,\n      \"targets\":[\n        %s],\n",
		json(panel_help[i]), datasource, panel_queries[i]
	printf "      \"fieldConfig\":{\"defaults\":{\"unit\":\"%s\",\"color\":{\"mode\":\"%s\"},\n",
		panel_unit[i], (panel_colours[i] == "" ? "palette-classic" : "thresholds")
	printf "        %s,\"custom\":{%s}},\"overrides\":[]},\n", thresholds(panel_colours[i]),
		custom[type]
	printf "      \"options\":{%s}%s}", options[type], transformations[type]
}

function print_row(title,    i) {
	x = 24
	open_panel("row", title)
	printf ",\"collapsed\":false,\"panels\":[]}"
	x = 24
}

# --- variables ---

function print_variable(i,    label) {
	label = variable_label[i]
	printf ",\n    {\"name\":\"%s\",\"label\":\"%s\",\"type\":\"query\",%s,\n", variable_name[i],
		variable_name[i], datasource
	printf "      \"query\":{\"query\":%s,\"refId\":\"variable\"},\"definition\":%s,\n",
		json(variable_query[i]), json(variable_query[i])
	printf "      \"multi\":true,\"includeAll\":true,\"allValue\":\".*\",\"refresh\":2,\"sort\":1,"
	printf "\"regex\":\"\",\"hide\":0,\n      \"options\":[],"
	printf "\"current\":{\"selected\":true,\"text\":[\"All\"],\"value\":[\"$__all\"]}}"
}

# Its values are not narrowed by itself, but by the variables before it.
function read_variables(    words, n, i) {
	while (next_row(source "/data/panels.def", "VARIABLE")) {
		variable_name[++n_variables] = row[1]
		n = split(row[3], words, " ")
		variable_query[n_variables] = expression("label_values(<" row[2] ">, " words[1] ")")
		for (i = 1; i <= n; i++)
			narrows_by[words[i]] = row[1]
	}
	split("", used)
}

function read_panels(    i) {
	while (next_row(source "/data/panels.def", "PANEL|QUERY")) {
		if (row_macro == "QUERY")
			add_query(row[1], row[2])
		else
			begin_panel(row[1], row[2], row[3], row[4], row[5])
	}
	for (i = 1; i <= n_ids; i++)
		if (!(ids[i] in used))
			add_panel_of(ids[i])
}

function read_groups() {
	while (next_row(source "/src/metrics/groups.def", "GROUP")) {
		groups[++n_groups] = row[1]
		title_of[row[1]] = row[2]
	}
}

BEGIN {
	datasource = "\"datasource\":{\"type\":\"prometheus\",\"uid\":\"${datasource}\"}"
	unit_of["NONE"] = "short"; rate_of["NONE"] = "cps"
	unit_of["BYTES"] = "bytes"; rate_of["BYTES"] = "Bps"
	unit_of["SECONDS"] = "s"; rate_of["SECONDS"] = "percentunit"
	unit_of["USD"] = rate_of["USD"] = "currencyUSD"
	width["row"] = 24; height["row"] = 1
	width["stat"] = height["stat"] = 4
	width["timeseries"] = width["state-timeline"] = height["timeseries"] = \
		height["state-timeline"] = height["table"] = 8
	width["table"] = 12
	custom["timeseries"] = "\"lineWidth\":1,\"fillOpacity\":10,\"showPoints\":\"never\""
	options["timeseries"] = "\"legend\":{\"displayMode\":\"list\",\"placement\":\"bottom\"}," \
		"\"tooltip\":{\"mode\":\"multi\",\"sort\":\"desc\"}"
	custom["state-timeline"] = "\"lineWidth\":0,\"fillOpacity\":80"
	options["state-timeline"] = "\"showValue\":\"never\",\"mergeValues\":true," \
		"\"legend\":{\"displayMode\":\"list\",\"placement\":\"bottom\",\"showLegend\":false}"
	options["stat"] = "\"colorMode\":\"value\",\"graphMode\":\"area\"," \
		"\"reduceOptions\":{\"calcs\":[\"lastNotNull\"],\"fields\":\"\",\"values\":false}"
	options["table"] = "\"showHeader\":true"
	transformations["table"] = ",\n      \"transformations\":[{\"id\":\"organize\",\"options\":" \
		"{\"excludeByName\":{\"Time\":true,\"Value\":true,\"__name__\":true,\"job\":true}}}]"

	read_catalog()
	read_groups()
	read_variables()
	read_panels()
	print "{\n  \"uid\":\"nexusd\",\"title\":\"nexusd\",\"tags\":[\"llm\",\"nexusd\"],"
	print "  \"schemaVersion\":36,\"version\":1,\"editable\":true,\"graphTooltip\":1,"
	print "  \"timezone\":\"\",\"refresh\":\"30s\",\"time\":{\"from\":\"now-6h\",\"to\":\"now\"},"
	print "  \"annotations\":{\"list\":[]},\"links\":[],"
	print "  \"templating\":{\"list\":["
	printf "    {\"name\":\"datasource\",\"label\":\"data source\",\"type\":\"datasource\","
	printf "\"query\":\"prometheus\",\n      \"multi\":false,\"includeAll\":false,\"refresh\":1,"
	printf "\"regex\":\"\",\"hide\":0,\"options\":[],\"current\":{}}"
	for (i = 1; i <= n_variables; i++)
		print_variable(i)
	printf "]},\n  \"panels\":["
	for (i = 1; i <= n_groups; i++) {
		print_row(title_of[groups[i]])
		for (j = 1; j <= n_panels; j++)
			if (panel_group[j] == groups[i])
				print_panel(j)
	}
	print "]\n}"
}
