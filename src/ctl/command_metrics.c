/* SPDX-License-Identifier: Apache-2.0 */
/* nexusctl metrics: the exposition as it comes, or its samples as JSON. */
#include <stdio.h>

#include "base/i18n.h"
#include "ctl/document.h"
#include "ctl/gateway.h"
#include "ctl/visible.h"

#define OUT_MAX_BYTES  (1u << 30)
#define PATH_MAX_BYTES 4000
#define TIMEOUT_NS     (60 * 1000000000ull)

/* Where they are: a setting, which only the admin socket tells. */
static int base_path(const struct ctl *ctl, struct buf *path)
{
	struct json_object *config = NULL;
	struct str text = STR_LITERAL("/metrics");
	int r = CTL_OK;

	if (!ctl->url)
		r = gateway_get(ctl, "/admin/config", &config);
	if (config)
		text = document_text(config, "metrics.path");
	if (r == CTL_OK && buf_append_str(path, text) < 0)
		r = ctl_no_memory();
	jsonx_free(config);
	return r;
}

static bool is_name(const char *text)
{
	return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789_:")];
}

static int make_path(const struct ctl *ctl, struct buf *path)
{
	int r = base_path(ctl, path);

	for (size_t i = 0; r == CTL_OK && i < ctl->n_arguments; i++) {
		if (!is_name(ctl->arguments[i]))
			return ctl_fail(CTL_USAGE, _("no name of a metric: %s"), ctl->arguments[i]);
		if (buf_printf(path, "%cname[]=%s", i ? '&' : '?', ctl->arguments[i]) < 0)
			return ctl_fail(CTL_USAGE, _("too many names"));
	}
	if (r == CTL_OK && buf_append(path, "", 1) < 0)
		r = ctl_no_memory();
	return r;
}

/* A label's value up to its closing quote, unescaped; *rest is what follows the quote. */
static int take_value(struct str *rest, struct buf *value)
{
	int r = 0;

	buf_clear(value);
	while (r == 0 && rest->n && rest->p[0] != '"') {
		size_t n = rest->p[0] == '\\' && rest->n > 1;
		char c = rest->p[n];

		if (n && c == 'n')
			c = '\n';
		r = buf_append(value, &c, 1);
		*rest = (struct str){rest->p + n + 1, rest->n - n - 1};
	}
	if (rest->n)
		*rest = (struct str){rest->p + 1, rest->n - 1};
	return r;
}

static void write_labels(struct jsonw *w, struct str *rest)
{
	struct buf value;
	char name[256];

	buf_init(&value, PATH_MAX_BYTES);
	jsonw_object(w, "labels");
	while (rest->n && rest->p[0] != '}' && w->error == 0) {
		struct str key = str_split(rest, '=');

		snprintf(name, sizeof(name), "%.*s", (int)key.n, key.p);
		(void)str_split(rest, '"');
		w->error = take_value(rest, &value);
		if (w->error == 0)
			jsonw_string(w, name, buf_str(&value));
		if (rest->n && rest->p[0] == ',')
			*rest = (struct str){rest->p + 1, rest->n - 1};
	}
	jsonw_object_end(w);
	buf_done(&value);
}

/* name{label="value",...} value: the value stays a text, since it may be +Inf. */
static void write_sample(struct jsonw *w, struct str line)
{
	size_t n = 0;
	struct str rest;

	while (n < line.n && line.p[n] != '{' && line.p[n] != ' ')
		n++;
	rest = (struct str){line.p + n, line.n - n};
	jsonw_object(w, NULL);
	jsonw_string(w, "name", (struct str){line.p, n});
	if (rest.n && rest.p[0] == '{') {
		rest = (struct str){rest.p + 1, rest.n - 1};
		write_labels(w, &rest);
		(void)str_split(&rest, '}');
	}
	rest = str_trim(rest);
	jsonw_string(w, "value", str_split(&rest, ' '));
	jsonw_object_end(w);
}

static int write_samples(struct str text, struct buf *out)
{
	struct jsonw w;

	jsonw_begin(&w, out);
	jsonw_array(&w, NULL);
	while (text.p && w.error == 0) {
		struct str line = str_split(&text, '\n');

		if (line.n && line.p[0] != '#')
			write_sample(&w, line);
	}
	jsonw_array_end(&w);
	return w.error ? w.error : buf_append(out, "\n", 1);
}

/* May a family be asked for by this name? Its samples have ends such as _total and _bucket. */
static bool is_name_of(struct str family, struct str name)
{
	struct str longer = family.n > name.n ? family : name;
	size_t n = family.n + name.n - longer.n;

	return memcmp(family.p, name.p, n) == 0 &&
	       (longer.n == n ||
		(longer.p[n] == '_' && !memchr(longer.p + n + 1, '_', longer.n - n - 1)));
}

/* A family that was chosen is told with its type, even while it has no series. */
static bool is_told(struct str text, struct str name)
{
	while (text.p) {
		struct str line = str_split(&text, '\n');

		if (str_eq(str_split(&line, ' '), STR_LITERAL("#")) &&
		    str_eq(str_split(&line, ' '), STR_LITERAL("TYPE")) &&
		    is_name_of(str_split(&line, ' '), name))
			return true;
	}
	return false;
}

static int check_names(const struct ctl *ctl, struct str text)
{
	for (size_t i = 0; i < ctl->n_arguments; i++)
		if (!is_told(text, str_of(ctl->arguments[i])))
			return ctl_fail(CTL_FAILED,
					_("no metric is called %s; nexusd-metrics(7) lists them"),
					ctl->arguments[i]);
	return CTL_OK;
}

static int fetch(const struct ctl *ctl, const char *path, struct response *answer)
{
	const struct gateway_request request = {
		.method = "GET", .path = path, .timeout_ns = TIMEOUT_NS};
	struct gateway *gateway = gateway_new(ctl, answer);

	if (gateway)
		gateway_ask(gateway, &request, answer);
	gateway_free(gateway);
	return answer->status == CTL_OK ? CTL_OK : response_say(answer);
}

int command_metrics(struct ctl *ctl)
{
	struct response answer;
	struct buf path, json, out;
	int r;

	response_init(&answer);
	buf_init(&path, PATH_MAX_BYTES);
	buf_init(&json, OUT_MAX_BYTES);
	buf_init(&out, OUT_MAX_BYTES);
	r = make_path(ctl, &path);
	if (r == CTL_OK)
		r = fetch(ctl, path.data, &answer);
	if (r == CTL_OK)
		r = check_names(ctl, buf_str(&answer.body));
	if (r == CTL_OK) {
		int error = ctl->json ? write_samples(buf_str(&answer.body), &json) : 0;
		struct str text = buf_str(ctl->json ? &json : &answer.body);

		r = ctl_print(&out, error ? error : visible_append(&out, text, true));
	}
	buf_done(&path);
	buf_done(&json);
	response_done(&answer);
	return r;
}
