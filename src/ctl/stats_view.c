/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/stats_view.h"

#include <inttypes.h>

#include "base/i18n.h"

#define PERCENT 100.0

static const struct column backend_columns[] = {
	{N_("BACKEND"), false}, {N_("STATUS"), false}, {N_("REQUESTS"), true}, {N_("ERRORS"), true},
	{N_("RUNNING"), true},  {N_("AVERAGE"), true}, {N_("TTFT P50"), true}, {N_("P99"), true},
};
static const struct column backend_rate_columns[] = {
	{N_("BACKEND"), false}, {N_("STATUS"), false}, {N_("REQ/S"), true},    {N_("ERRORS"), true},
	{N_("RUNNING"), true},  {N_("AVERAGE"), true}, {N_("TTFT P50"), true}, {N_("P99"), true},
};
static const struct column model_columns[] = {
	{N_("MODEL"), false}, {N_("REQUESTS"), true}, {N_("TOKENS"), true},   {N_("P50"), true},
	{N_("P95"), true},    {N_("P99"), true},      {N_("TTFT P50"), true}, {N_("COST"), true},
};
static const struct column model_rate_columns[] = {
	{N_("MODEL"), false}, {N_("REQ/S"), true}, {N_("TOKENS/S"), true}, {N_("P50"), true},
	{N_("P95"), true},    {N_("P99"), true},   {N_("TTFT P50"), true}, {N_("COST"), true},
};

/* The row of the same name in a list of the document before; both lists may have changed. */
static struct json_object *row_before(const struct stats_view *view, const char *list,
				      struct json_object *row)
{
	struct json_object *rows = jsonx_get(view->before, list);
	struct str name = document_text(row, "name");

	for (size_t i = 0; i < jsonx_length(rows); i++)
		if (str_eq(document_text(jsonx_at(rows, i), "name"), name))
			return jsonx_at(rows, i);
	return NULL;
}

double stats_view_grown(struct json_object *object, struct json_object *before, const char *path)
{
	double grown = document_number(object, path) - document_number(before, path);

	/* Counted anew: it was started again meanwhile. */
	return grown > 0 ? grown : 0;
}

static double rate(const struct stats_view *view, struct json_object *object,
		   struct json_object *before, const char *path)
{
	return view->seconds > 0 ? stats_view_grown(object, before, path) / view->seconds : 0;
}

static void cell_requests(const struct stats_view *view, struct table *table,
			  struct json_object *row, struct json_object *before)
{
	if (view->before)
		table_printf(table, SHADE_NONE, "%.1f", rate(view, row, before, "requests"));
	else
		document_cell_u64(table, row, "requests");
}

void stats_view_backends(const struct stats_view *view, struct table *table)
{
	struct json_object *rows = jsonx_get(view->now, "backends");

	table_init(table, view->before ? backend_rate_columns : backend_columns,
		   ARRAY_SIZE(backend_columns));
	for (size_t i = 0; i < jsonx_length(rows); i++) {
		struct json_object *row = jsonx_at(rows, i);
		double errors = document_number(row, "error_rate");

		document_cell_text(table, row, "name");
		document_cell_status(table, row);
		cell_requests(view, table, row, row_before(view, "backends", row));
		table_printf(table, errors > 0 ? SHADE_BAD : SHADE_NONE, "%.1f %%",
			     PERCENT * errors);
		document_cell_u64(table, row, "in_flight");
		document_cell_msec(table, row, "average_latency_ms");
		document_cell_msec(table, row, "ttft_ms.p50");
		document_cell_msec(table, row, "ttft_ms.p99");
	}
}

static void cell_tokens(const struct stats_view *view, struct table *table, struct json_object *row,
			struct json_object *before)
{
	if (view->before)
		table_printf(table, SHADE_NONE, "%.1f",
			     rate(view, row, before, "tokens.prompt") +
				     rate(view, row, before, "tokens.completion"));
	else
		table_printf(table, SHADE_NONE, "%" PRIu64,
			     document_u64(row, "tokens.prompt") +
				     document_u64(row, "tokens.completion"));
}

static void cell_cost(struct table *table, struct json_object *row)
{
	double usd = document_number(row, "cost_usd");

	if (usd > 0)
		table_printf(table, SHADE_NONE, "$%.4f", usd);
	else
		table_text(table, SHADE_NONE, STR_LITERAL("-"));
}

void stats_view_models(const struct stats_view *view, struct table *table)
{
	struct json_object *rows = jsonx_get(view->now, "models");

	table_init(table, view->before ? model_rate_columns : model_columns,
		   ARRAY_SIZE(model_columns));
	for (size_t i = 0; i < jsonx_length(rows); i++) {
		struct json_object *row = jsonx_at(rows, i);
		struct json_object *before = row_before(view, "models", row);

		document_cell_text(table, row, "name");
		cell_requests(view, table, row, before);
		cell_tokens(view, table, row, before);
		document_cell_msec(table, row, "duration_ms.p50");
		document_cell_msec(table, row, "duration_ms.p95");
		document_cell_msec(table, row, "duration_ms.p99");
		document_cell_msec(table, row, "ttft_ms.p50");
		cell_cost(table, row);
	}
}
