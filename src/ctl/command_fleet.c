/* SPDX-License-Identifier: Apache-2.0 */
/* nexusctl backends, drain, undrain, models, stats. */
#include <stdio.h>
#include <stdlib.h>

#include "base/i18n.h"
#include "ctl/document.h"
#include "ctl/stats_view.h"

#define PATH_MAX_BYTES 1024

static const struct column backend_columns[] = {
	{N_("BACKEND"), false}, {N_("TYPE"), false},    {N_("STATUS"), false},
	{N_("CIRCUIT"), false}, {N_("PRIORITY"), true}, {N_("RUNNING"), true},
	{N_("LATENCY"), true},  {N_("MODELS"), true},   {N_("URL"), false},
};

static const struct column model_columns[] = {
	{N_("MODEL"), false},    {N_("CONTEXT"), true},   {N_("CAPABILITIES"), false},
	{N_("ALIAS OF"), false}, {N_("BACKENDS"), false},
};

static void fill_backends(struct table *table, struct json_object *rows)
{
	for (size_t i = 0; i < jsonx_length(rows); i++) {
		struct json_object *row = jsonx_at(rows, i);

		document_cell_text(table, row, "name");
		document_cell_text(table, row, "type");
		document_cell_status(table, row);
		document_cell_text(table, row, "circuit");
		document_cell_u64(table, row, "priority");
		document_cell_u64(table, row, "in_flight");
		document_cell_msec(table, row, "average_latency_ms");
		document_cell_u64(table, row, "models");
		document_cell_text(table, row, "url");
	}
}

static void fill_models(struct table *table, struct json_object *rows)
{
	for (size_t i = 0; i < jsonx_length(rows); i++) {
		struct json_object *row = jsonx_at(rows, i);

		document_cell_text(table, row, "id");
		document_cell_u64(table, row, "context_length");
		document_cell_list(table, jsonx_get(row, "capabilities"));
		document_cell_text(table, row, "alias_of");
		document_cell_list(table, jsonx_get(row, "backends"));
	}
}

/* One table of one list of a document. */
struct listing_view {
	const char *path, *list;
	const struct column *columns;
	size_t n_columns;
	void (*fill)(struct table *table, struct json_object *rows);
};

static int write_list(const struct ctl *ctl, struct json_object *document, const void *context,
		      struct buf *out)
{
	const struct listing_view *view = context;
	struct table table;
	int r;

	table_init(&table, view->columns, view->n_columns);
	view->fill(&table, jsonx_get(document, view->list));
	r = table_write(&table, &ctl->screen, SIZE_MAX, out);
	table_done(&table);
	return r;
}

static int print_list(const struct ctl *ctl, const struct listing_view *view)
{
	const struct question question = {
		.request = {.method = "GET", .path = view->path},
		.write = write_list,
		.context = view,
	};

	return document_show(ctl, &question);
}

int command_backends(struct ctl *ctl)
{
	static const struct listing_view view = {
		"/admin/backends",           "backends",    backend_columns,
		ARRAY_SIZE(backend_columns), fill_backends,
	};

	return print_list(ctl, &view);
}

int command_models(struct ctl *ctl)
{
	static const struct listing_view view = {
		"/v1/models", "data", model_columns, ARRAY_SIZE(model_columns), fill_models,
	};

	return print_list(ctl, &view);
}

/* A name that could leave the path is none: the configuration would not take it. */
static bool is_name(const char *text)
{
	return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789._-@")];
}

static unsigned long long count_in_flight(struct json_object *document)
{
	struct json_object *backends = jsonx_get(document, "backends");
	uint64_t sum = 0;

	for (size_t i = 0; i < jsonx_length(backends); i++)
		sum += document_u64(jsonx_at(backends, i), "in_flight");
	return sum;
}

static int write_drains(const struct ctl *ctl, struct json_object *document,
			const void *context UNUSED, struct buf *out)
{
	return buf_printf(out, _("%s drains; requests that still run there: %llu\n"),
			  ctl->arguments[0], count_in_flight(document));
}

static int write_undrained(const struct ctl *ctl, struct json_object *document,
			   const void *context UNUSED, struct buf *out)
{
	return buf_printf(out, _("%s takes requests again; running there: %llu\n"),
			  ctl->arguments[0], count_in_flight(document));
}

static int steer(const struct ctl *ctl, const char *verb, struct question question)
{
	const char *name = ctl->arguments[0];
	char path[PATH_MAX_BYTES], missing[PATH_MAX_BYTES];

	snprintf(missing, sizeof(missing),
		 _("no backend is called %s; nexusctl backends lists them"), name);
	if (!is_name(name) || strlen(name) > PATH_MAX_BYTES / 2)
		return ctl_fail(CTL_FAILED, "%s", missing);
	snprintf(path, sizeof(path), "/admin/backends/%s/%s", name, verb);
	question.request =
		(struct gateway_request){.method = "POST", .path = path, .missing = missing};
	return document_show(ctl, &question);
}

int command_drain(struct ctl *ctl)
{
	return steer(ctl, "drain", (struct question){.write = write_drains});
}

int command_undrain(struct ctl *ctl)
{
	return steer(ctl, "undrain", (struct question){.write = write_undrained});
}

static int write_totals(struct json_object *document, struct buf *out)
{
	return buf_printf(out,
			  _("%llu requests, %llu of them failed, %.1f requests/s, %.1f tokens/s\n"),
			  (unsigned long long)document_u64(document, "requests.total"),
			  (unsigned long long)document_u64(document, "requests.errors"),
			  document_number(document, "rates.requests_per_second"),
			  document_number(document, "rates.tokens_per_second"));
}

static int write_stats(const struct ctl *ctl, struct json_object *document, const void *context,
		       struct buf *out)
{
	static void (*const tables[])(const struct stats_view *view, struct table *table) = {
		stats_view_backends, stats_view_models};
	const struct stats_view view = {.now = document};
	int r = write_totals(document, out);

	(void)context;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(tables); i++) {
		struct table table;

		tables[i](&view, &table);
		r = buf_append(out, "\n", 1);
		if (r == 0)
			r = table_write(&table, &ctl->screen, SIZE_MAX, out);
		table_done(&table);
	}
	return r;
}

int command_stats(struct ctl *ctl)
{
	static const struct question question = {
		.request = {.method = "GET", .path = "/v1/stats"},
		.write = write_stats,
	};

	return document_show(ctl, &question);
}
