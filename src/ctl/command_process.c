/* SPDX-License-Identifier: Apache-2.0 */
/* nexusctl reload, log-level. */
#include <stdio.h>

#include "base/i18n.h"
#include "config/config_value.h"
#include "config/schema.h"
#include "ctl/document.h"
#include "ctl/gateway.h"

#define OUT_MAX_BYTES 65536

static int write_restart_needed(struct json_object *document, struct buf *out)
{
	struct json_object *names = jsonx_get(document, "restart_needed");
	int r = buf_printf(out, "%s\n", _("reloaded"));

	for (size_t i = 0; r == 0 && i < jsonx_length(names); i++)
		r = buf_printf(out, _("only a restart puts %s in force\n"),
			       jsonx_string(jsonx_at(names, i)).p);
	return r;
}

int command_reload(struct ctl *ctl)
{
	struct json_object *document;
	struct buf out;
	int r = gateway_fetch(ctl, "POST", "/admin/reload", NULL, &document);

	if (r != CTL_OK)
		return r;
	buf_init(&out, OUT_MAX_BYTES);
	if (ctl->json)
		r = document_print(document);
	else
		r = ctl_print(&out, write_restart_needed(document, &out));
	jsonx_free(document);
	return r;
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

int command_log_level(struct ctl *ctl)
{
	const char *level = ctl->n_arguments ? ctl->arguments[0] : NULL;
	struct json_object *document = NULL;
	int r = level ? check_level(level) : CTL_OK;
	struct buf text;

	buf_init(&text, OUT_MAX_BYTES);
	if (r == CTL_OK && level && write_body(level, &text) < 0)
		r = ctl_no_memory();
	if (r == CTL_OK)
		r = gateway_fetch(ctl, level ? "PUT" : "GET", "/admin/log-level", text.data,
				  &document);
	buf_clear(&text);
	if (r == CTL_OK && ctl->json)
		r = document_print(document);
	else if (r == CTL_OK)
		r = ctl_print(&text,
			      buf_printf(&text, "%.*s\n", (int)document_text(document, "level").n,
					 document_text(document, "level").p));
	buf_done(&text);
	jsonx_free(document);
	return r;
}
