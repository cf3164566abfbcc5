/* SPDX-License-Identifier: Apache-2.0 */
/* nexusctl config show, check, defaults, explain. */
#include <errno.h>
#include <stdio.h>

#include "base/i18n.h"
#include "base/jsonx.h"
#include "config/config_json.h"
#include "config/schema.h"
#include "ctl/document.h"
#include "ctl/gateway.h"
#include "ctl/libconfig_text.h"

#define OUT_MAX_BYTES   (64u << 20)
#define ERROR_MAX_BYTES 8192

static int print_config(const struct ctl *ctl, struct json_object *document)
{
	struct buf out;

	if (ctl->json)
		return document_print(document);
	buf_init(&out, OUT_MAX_BYTES);
	return ctl_print(&out, libconfig_text_write(document, &out));
}

/* Takes the configuration over. */
static int print_loaded(const struct ctl *ctl, struct config *config)
{
	struct json_object *document = NULL;
	struct buf json;
	int r;

	buf_init(&json, OUT_MAX_BYTES);
	if (config_json_write(config, &json) == 0)
		document = jsonx_parse(buf_str(&json));
	r = document ? print_config(ctl, document) : ctl_no_memory();
	jsonx_free(document);
	buf_done(&json);
	config_unref(config);
	return r;
}

/* As a start would. The line of an error names file and line itself. */
static int load(const struct ctl *ctl, struct config **ret_config)
{
	struct buf error;
	int r;

	buf_init(&error, ERROR_MAX_BYTES);
	r = config_load(ctl->n_arguments ? ctl->arguments[0] : NULL, ret_config, &error);
	if (r < 0)
		ctl_fail(CTL_FAILED, "%.*s", (int)error.len, error.len ? error.data : "");
	buf_done(&error);
	return r < 0 ? CTL_FAILED : CTL_OK;
}

static int show_running(const struct ctl *ctl)
{
	struct json_object *document;
	int r = gateway_get(ctl, "/admin/config", &document);

	if (r == CTL_OK)
		r = print_config(ctl, document);
	jsonx_free(document);
	return r;
}

int command_config_show(struct ctl *ctl)
{
	struct config *config;
	int r;

	if (ctl->n_arguments == 0)
		return show_running(ctl);
	r = load(ctl, &config);
	return r == CTL_OK ? print_loaded(ctl, config) : r;
}

int command_config_check(struct ctl *ctl)
{
	struct config *config;
	struct buf out;
	int r = load(ctl, &config);

	if (r != CTL_OK)
		return r;
	config_unref(config);
	buf_init(&out, ERROR_MAX_BYTES);
	if (ctl->json)
		r = buf_printf(&out, "{\"status\": \"good\"}\n");
	else
		r = buf_printf(&out, "%s\n", _("the configuration is good"));
	return ctl_print(&out, r);
}

int command_config_defaults(struct ctl *ctl)
{
	struct config *config;
	struct buf error;
	int r;

	buf_init(&error, ERROR_MAX_BYTES);
	r = config_parse_text("", (struct str){"", 0}, &config, &error);
	buf_done(&error);
	return r < 0 ? ctl_no_memory() : print_loaded(ctl, config);
}

static bool is_asked(const char *name, struct str key)
{
	return str_eq(str_of(name), key) ||
	       (str_has_prefix(str_of(name), key) && name[key.n] == '.');
}

static const char *reload_name(const struct option *option)
{
	return option->reload == RELOAD_LIVE ? _("a reload applies a change")
					     : _("a change takes a restart");
}

static bool has_range(const struct option *option)
{
	return option->type == OPTION_COUNT || option->type == OPTION_SIZE ||
	       option->type == OPTION_DURATION || option->type == OPTION_PRICE ||
	       option->type == OPTION_SHARE;
}

static bool has_words(const struct option *option)
{
	return option->type == OPTION_WORD || option->type == OPTION_CHOICE ||
	       option->type == OPTION_EITHER || option->type == OPTION_FLAGS;
}

static int explain(const struct screen *screen, const struct option *option, struct buf *out)
{
	char name[OPTION_NAME_MAX];
	int r = shade_append(out, screen, SHADE_BOLD, str_of(schema_name(option, name)));

	if (r == 0)
		r = buf_printf(out, "\n  %s\n  %s%s\n", _(option->help),
			       _(schema_type_advice(option->type)),
			       has_words(option) ? option->unit : "");
	if (r == 0 && !option->initial)
		r = buf_printf(out, "  %s\n", _("required"));
	else if (r == 0 && *option->initial)
		r = buf_printf(out, _("  default: %s\n"), option->initial);
	if (r == 0 && has_range(option))
		r = buf_printf(out, _("  from %s to %s %s\n"), option->min, option->max,
			       option->unit);
	return r < 0 ? r : buf_printf(out, "  %s\n", reload_name(option));
}

static void explain_json(struct jsonw *w, const struct option *option)
{
	char name[OPTION_NAME_MAX];

	jsonw_object(w, NULL);
	jsonw_string(w, "name", str_of(schema_name(option, name)));
	jsonw_string(w, "help", str_of(option->help));
	jsonw_string(w, "default", str_of(option->initial));
	if (has_range(option)) {
		jsonw_string(w, "min", str_of(option->min));
		jsonw_string(w, "max", str_of(option->max));
	}
	jsonw_string(w, has_words(option) ? "words" : "unit", str_of(option->unit));
	jsonw_bool(w, "restart", option->reload == RELOAD_RESTART);
	jsonw_object_end(w);
}

static int explain_all(const struct ctl *ctl, struct buf *out)
{
	struct str key = str_of(ctl->arguments[0]);
	struct jsonw w;
	int n = 0;

	jsonw_begin(&w, out);
	if (ctl->json)
		jsonw_array(&w, NULL);
	for (size_t i = 0; i < SCHEMA_COUNT && w.error == 0; i++) {
		const struct option *option = schema_at(i);
		char name[OPTION_NAME_MAX];

		if (!is_asked(schema_name(option, name), key))
			continue;
		if (ctl->json)
			explain_json(&w, option);
		else
			w.error = explain(&ctl->screen, option, out);
		n++;
	}
	if (ctl->json)
		jsonw_array_end(&w);
	if (ctl->json && w.error == 0)
		w.error = buf_append(out, "\n", 1);
	return w.error < 0 ? w.error : n;
}

int command_config_explain(struct ctl *ctl)
{
	struct buf out;
	int r;

	buf_init(&out, OUT_MAX_BYTES);
	r = explain_all(ctl, &out);
	if (r != 0)
		return ctl_print(&out, r < 0 ? r : 0);
	buf_done(&out);
	return ctl_fail(CTL_FAILED, _("no option and no group is called %s; see nexusd.conf(5)"),
			ctl->arguments[0]);
}
