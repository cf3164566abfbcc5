/* SPDX-License-Identifier: Apache-2.0 */
/* nexusctl reload, log-level. */
#include <stdio.h>

#include "base/i18n.h"
#include "config/config_value.h"
#include "config/schema.h"
#include "ctl/document.h"

#define BODY_MAX_BYTES 256

static int write_restart_needed(const struct ctl *ctl, struct json_object *document,
				const void *context, struct buf *out)
{
	struct json_object *names = jsonx_get(document, "restart_needed");
	int r = buf_printf(out, "%s\n", _("reloaded"));

	(void)ctl;
	(void)context;
	for (size_t i = 0; r == 0 && i < jsonx_length(names); i++)
		r = buf_printf(out, _("only a restart puts %s in force\n"),
			       jsonx_string(jsonx_at(names, i)).p);
	return r;
}

int command_reload(struct ctl *ctl)
{
	static const struct question question = {
		.request = {.method = "POST", .path = "/admin/reload"},
		.write = write_restart_needed,
	};

	return document_show(ctl, &question);
}

static int write_body(const char *level, struct buf *body)
{
	struct jsonw w;

	jsonw_begin(&w, body);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "level", str_of(level));
	jsonw_object_end(&w);
	return w.error ? w.error : buf_append(body, "", 1);
}

static int check_level(const char *level)
{
	const struct option *option = schema_find(SCOPE_ROOT, STR_LITERAL("log.level"));
	const struct config_value value = {.kind = VALUE_TEXT, .text = level};
	unsigned position;

	if (config_value_word(&value, option->unit, &position) == 0)
		return CTL_OK;
	return ctl_fail(CTL_USAGE, _("no such level: %s; choose one of: %s"), level, option->unit);
}

static int write_level(const struct ctl *ctl, struct json_object *document, const void *context,
		       struct buf *out)
{
	const struct str level = document_text(document, "level");

	(void)ctl;
	(void)context;
	return buf_printf(out, "%.*s\n", (int)level.n, level.p);
}

int command_log_level(struct ctl *ctl)
{
	const char *level = ctl->n_arguments ? ctl->arguments[0] : NULL;
	struct question question = {
		.request = {.method = "GET", .path = "/admin/log-level"},
		.write = write_level,
	};
	int r = level ? check_level(level) : CTL_OK;
	struct buf body;

	buf_init(&body, BODY_MAX_BYTES);
	if (r == CTL_OK && level && write_body(level, &body) < 0)
		r = ctl_no_memory();
	if (level) {
		question.request.method = "PUT";
		question.request.body = body.data;
	}
	if (r == CTL_OK)
		r = document_show(ctl, &question);
	buf_done(&body);
	return r;
}
