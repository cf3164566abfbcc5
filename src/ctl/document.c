/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/document.h"

#include <stdio.h>

#include "base/i18n.h"
#include "ctl/visible.h"

#define DOCUMENT_MAX_BYTES (256u << 20)
#define LIST_MAX_BYTES     4096
#define PATH_MAX_BYTES     128
#define MSEC_PER_SEC       1000.0

int document_print(struct json_object *document)
{
	const char *text = jsonx_text(document, true);
	struct buf out;
	int r;

	if (!text)
		return ctl_no_memory();
	buf_init(&out, DOCUMENT_MAX_BYTES);
	r = visible_append(&out, str_of(text), true);
	if (r == 0)
		r = buf_append(&out, "\n", 1);
	return ctl_print(&out, r);
}

int document_show(const struct ctl *ctl, const struct question *question)
{
	struct json_object *document;
	struct buf out;
	int r = gateway_fetch(ctl, question->request, &document);

	if (r != CTL_OK)
		return r;
	buf_init(&out, DOCUMENT_MAX_BYTES);
	if (ctl->json)
		r = document_print(document);
	else
		r = ctl_print(&out, question->write(ctl, document, question->context, &out));
	jsonx_free(document);
	return r;
}

struct json_object *document_get(struct json_object *object, const char *path)
{
	struct str rest = str_of(path);
	char name[PATH_MAX_BYTES];

	while (object && rest.p) {
		struct str one = str_split(&rest, '.');

		snprintf(name, sizeof(name), "%.*s", (int)one.n, one.p);
		object = jsonx_get(object, name);
	}
	return object;
}

uint64_t document_u64(struct json_object *object, const char *path)
{
	uint64_t value = 0;

	(void)!jsonx_u64(document_get(object, path), &value);
	return value;
}

double document_number(struct json_object *object, const char *path)
{
	return jsonx_number(document_get(object, path));
}

struct str document_text(struct json_object *object, const char *path)
{
	return jsonx_string(document_get(object, path));
}

static void dash(struct table *table)
{
	table_text(table, SHADE_NONE, STR_LITERAL("-"));
}

void document_cell_text(struct table *table, struct json_object *object, const char *path)
{
	struct str text = document_text(object, path);

	if (text.n)
		table_text(table, SHADE_NONE, text);
	else
		dash(table);
}

void document_cell_u64(struct table *table, struct json_object *object, const char *path)
{
	if (jsonx_kind(document_get(object, path)) == JSONX_NUMBER)
		table_printf(table, SHADE_NONE, "%llu",
			     (unsigned long long)document_u64(object, path));
	else
		dash(table);
}

void document_cell_msec(struct table *table, struct json_object *object, const char *path)
{
	double msec = document_number(object, path);

	if (jsonx_kind(document_get(object, path)) != JSONX_NUMBER)
		dash(table);
	else if (msec < 10 * MSEC_PER_SEC)
		table_printf(table, SHADE_NONE, "%.1f ms", msec);
	else
		table_printf(table, SHADE_NONE, "%.1f s", msec / MSEC_PER_SEC);
}

void document_cell_list(struct table *table, struct json_object *array)
{
	struct buf words;
	int r = 0;

	if (jsonx_length(array) == 0) {
		dash(table);
		return;
	}
	buf_init(&words, LIST_MAX_BYTES);
	for (size_t i = 0; r == 0 && i < jsonx_length(array); i++) {
		struct str word = jsonx_string(jsonx_at(array, i));

		r = buf_printf(&words, "%s%.*s", i ? " " : "", (int)word.n, word.p);
	}
	/* What does not fit is not shown. */
	table_text(table, SHADE_NONE, buf_str(&words));
	buf_done(&words);
}

void document_cell_status(struct table *table, struct json_object *backend)
{
	struct str status = document_text(backend, "status");
	uint64_t held_seconds = document_u64(backend, "held_seconds");
	enum shade shade = SHADE_DOUBT;

	if (str_eq(status, STR_LITERAL("healthy")) && held_seconds > 0) {
		table_printf(table, shade, _("held %llu s"), (unsigned long long)held_seconds);
		return;
	}
	if (str_eq(status, STR_LITERAL("healthy")))
		shade = SHADE_GOOD;
	else if (str_eq(status, STR_LITERAL("unhealthy")))
		shade = SHADE_BAD;
	table_text(table, shade, status);
}
