/* SPDX-License-Identifier: Apache-2.0 */
/* nexusctl status, version. */
#include <stdio.h>

#include "base/i18n.h"
#include "base/version.h"
#include "ctl/document.h"
#include "ctl/gateway.h"
#include "ctl/human.h"

#define OUT_MAX_BYTES (1u << 20)

static const struct column pair_columns[] = {{NULL, false}, {NULL, false}};

static void label(struct table *table, const char *text)
{
	table_text(table, SHADE_BOLD, str_of(text));
}

/* A line with an array of texts, unless that is empty. */
static void line_of_list(struct table *table, const char *name, enum shade shade,
			 struct json_object *list)
{
	for (size_t i = 0; i < jsonx_length(list); i++) {
		label(table, i ? "" : name);
		table_text(table, shade, jsonx_string(jsonx_at(list, i)));
	}
}

static void lines_of_listeners(struct table *table, struct json_object *status)
{
	struct json_object *listeners = jsonx_get(status, "listeners");

	for (size_t i = 0; i < jsonx_length(listeners); i++) {
		struct json_object *listener = jsonx_at(listeners, i);
		struct str address = document_text(listener, "address");

		label(table, i ? "" : _("listens"));
		table_text(table, SHADE_NONE, address);
	}
}

static void lines_of_config(struct table *table, struct json_object *status)
{
	struct json_object *config = jsonx_get(status, "config");
	struct json_object *reload = jsonx_get(config, "last_reload");
	struct str error = document_text(reload, "error");
	char time[HUMAN_MAX];

	if (jsonx_length(jsonx_get(config, "files")) == 0) {
		label(table, _("configuration"));
		table_text(table, SHADE_NONE, str_of(_("built in")));
	}
	line_of_list(table, _("configuration"), SHADE_NONE, jsonx_get(config, "files"));
	line_of_list(table, _("needs a restart"), SHADE_DOUBT, jsonx_get(config, "restart_needed"));
	if (!reload)
		return;
	label(table, _("last reload"));
	human_time(document_u64(reload, "time"), time);
	if (error.n)
		table_printf(table, SHADE_BAD, "%s: %.*s", time, (int)error.n, error.p);
	else
		table_text(table, SHADE_NONE, str_of(time));
}

struct fleet_summary {
	uint64_t total, healthy, draining, held;
};

static struct fleet_summary summary_of(struct json_object *document)
{
	struct json_object *backends = jsonx_get(document, "backends");
	struct fleet_summary fleet = {
		document_u64(backends, "total"),
		document_u64(backends, "healthy"),
		document_u64(backends, "draining"),
		document_u64(backends, "held"),
	};

	/* /v1/stats has rows instead. */
	for (size_t i = 0; i < jsonx_length(backends); i++) {
		struct str status = document_text(jsonx_at(backends, i), "status");

		fleet.total += !str_eq(status, STR_LITERAL("removed"));
		fleet.healthy += str_eq(status, STR_LITERAL("healthy"));
		fleet.draining += str_eq(status, STR_LITERAL("draining"));
		fleet.held += document_u64(jsonx_at(backends, i), "held_seconds") > 0;
	}
	return fleet;
}

static void line_of_fleet(struct table *table, struct fleet_summary fleet)
{
	bool is_less = fleet.healthy < fleet.total || fleet.held > 0;
	enum shade shade = fleet.healthy == 0 ? SHADE_BAD : is_less ? SHADE_DOUBT : SHADE_GOOD;
	char draining[HUMAN_MAX] = "", held[HUMAN_MAX] = "";

	label(table, _("backends"));
	if (fleet.draining)
		snprintf(draining, sizeof(draining), _(", %llu draining"),
			 (unsigned long long)fleet.draining);
	if (fleet.held)
		snprintf(held, sizeof(held), _(", %llu held"), (unsigned long long)fleet.held);
	table_printf(table, shade, _("%llu of %llu healthy%s%s"), (unsigned long long)fleet.healthy,
		     (unsigned long long)fleet.total, draining, held);
}

static void fill(struct table *table, struct json_object *document, struct fleet_summary fleet)
{
	struct str state = document_text(document, "state");
	char text[HUMAN_MAX];

	label(table, _("state"));
	table_text(table,
		   !state.p || str_eq(state, STR_LITERAL("serving")) ? SHADE_GOOD : SHADE_DOUBT,
		   state.p ? state : STR_LITERAL("serving"));
	label(table, _("version"));
	document_cell_text(table, document, "version");
	label(table, _("running for"));
	table_text(table, SHADE_NONE,
		   str_of(human_duration(document_u64(document, "uptime_seconds"), text)));
	line_of_fleet(table, fleet);
	if (!state.p)
		return;
	label(table, _("models"));
	document_cell_u64(table, document, "models");
	label(table, _("in flight"));
	document_cell_u64(table, document, "in_flight");
	label(table, _("process"));
	document_cell_u64(table, document, "pid");
	lines_of_listeners(table, document);
	lines_of_config(table, document);
}

static int print_pairs(const struct ctl *ctl, struct table *table)
{
	struct buf out;
	int r;

	buf_init(&out, OUT_MAX_BYTES);
	r = table_write(table, &ctl->screen, SIZE_MAX, &out);
	table_done(table);
	return ctl_print(&out, r);
}

/* In the network nobody answers for the process: /v1/stats tells what it can. */
int command_status(struct ctl *ctl)
{
	struct json_object *document;
	struct fleet_summary fleet;
	struct table table;
	struct str state;
	int r = gateway_get(ctl, ctl->url ? "/v1/stats" : "/admin/status", &document);

	if (r != CTL_OK)
		return r;
	fleet = summary_of(document);
	state = document_text(document, "state");
	if (ctl->json) {
		r = document_print(document);
	} else {
		table_init(&table, pair_columns, ARRAY_SIZE(pair_columns));
		fill(&table, document, fleet);
		r = print_pairs(ctl, &table);
	}
	if (r == CTL_OK &&
	    (fleet.healthy == 0 || (state.p && !str_eq(state, STR_LITERAL("serving")))))
		r = CTL_FAILED;
	jsonx_free(document);
	return r;
}

static int print_versions(const struct ctl *ctl, struct str running)
{
	struct table table;
	struct buf out;
	struct jsonw w;
	int r;

	if (!ctl->json) {
		table_init(&table, pair_columns, ARRAY_SIZE(pair_columns));
		label(&table, "nexusctl");
		table_text(&table, SHADE_NONE, str_of(version_text));
		label(&table, "nexusd");
		table_text(&table, SHADE_NONE, running.p ? running : STR_LITERAL("-"));
		return print_pairs(ctl, &table);
	}
	buf_init(&out, OUT_MAX_BYTES);
	jsonw_begin(&w, &out);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "nexusctl", str_of(version_text));
	jsonw_string(&w, "nexusd", running);
	jsonw_object_end(&w);
	r = w.error ? w.error : buf_append(&out, "\n", 1);
	return ctl_print(&out, r);
}

/* Its own is told in any case. */
int command_version(struct ctl *ctl)
{
	struct json_object *document;
	int r = gateway_get(ctl, ctl->url ? "/v1/stats" : "/admin/status", &document);
	int printed = print_versions(ctl, document_text(document, "version"));

	jsonx_free(document);
	return r == CTL_OK ? printed : r;
}
