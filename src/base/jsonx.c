/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonx.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <json-c/json.h>

#include "base/jsonscan.h"

struct json_object *jsonx_parse(struct str text)
{
	struct jsonscan scan = {0};
	struct json_tokener *tokener;
	struct json_object *object;

	if (text.n > INT_MAX || jsonscan_run(&scan, text) != JSON_OK)
		return NULL;
	/* json-c would cut such a name, and it would be another one's. */
	if (scan.has_nul_name)
		return NULL;
	tokener = json_tokener_new_ex(JSONSCAN_MAX_DEPTH + 1);
	if (!tokener)
		return NULL;
	/* Not json-c's own strict mode: it refuses integers it cannot hold, which are legal. */
	object = json_tokener_parse_ex(tokener, text.p, (int)text.n);
	/* A number at the very end is complete only once json-c has seen what follows. */
	if (json_tokener_get_error(tokener) == json_tokener_continue)
		object = json_tokener_parse_ex(tokener, "", 1);
	json_tokener_free(tokener);
	return object;
}

struct json_object *jsonx_free(struct json_object *object)
{
	json_object_put(object);
	return NULL;
}

struct json_object *jsonx_get(struct json_object *object, const char *name)
{
	struct json_object *value;

	if (!json_object_is_type(object, json_type_object))
		return NULL;
	return json_object_object_get_ex(object, name, &value) ? value : NULL;
}

size_t jsonx_length(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

struct json_object *jsonx_at(struct json_object *array, size_t index)
{
	return index < jsonx_length(array) ? json_object_array_get_idx(array, index) : NULL;
}

struct str jsonx_string(struct json_object *value)
{
	if (!json_object_is_type(value, json_type_string))
		return (struct str){NULL, 0};
	return (struct str){json_object_get_string(value),
			    (size_t)json_object_get_string_len(value)};
}

enum jsonx_kind jsonx_kind(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_null:
		break;
	case json_type_boolean:
		return JSONX_BOOL;
	case json_type_double:
	case json_type_int:
		return JSONX_NUMBER;
	case json_type_string:
		return JSONX_STRING;
	case json_type_array:
		return JSONX_ARRAY;
	case json_type_object:
		return JSONX_OBJECT;
	}
	return JSONX_NULL;
}

double jsonx_number(struct json_object *value)
{
	return jsonx_kind(value) == JSONX_NUMBER ? json_object_get_double(value) : 0;
}

const char *jsonx_text(struct json_object *value, bool is_pretty)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	if (is_pretty)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	return json_object_to_json_string_ext(value, flags);
}

int jsonx_u64(struct json_object *value, uint64_t *ret_value)
{
	uint64_t number;

	if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
		return -EINVAL;
	number = json_object_get_uint64(value);
	/* json-c clamps what it cannot hold to this. */
	if (number == UINT64_MAX)
		return -EINVAL;
	*ret_value = number;
	return 0;
}

bool jsonx_next_member(struct json_object *object, void **cursor, const char **ret_name,
		       struct json_object **ret_value)
{
	struct lh_entry *entry = *cursor;

	if (!json_object_is_type(object, json_type_object))
		return false;
	entry = entry ? lh_entry_next(entry) : lh_table_head(json_object_get_object(object));
	if (!entry)
		return false;
	*cursor = entry;
	*ret_name = lh_entry_k(entry);
	*ret_value = lh_entry_v(entry);
	return true;
}

static void append(struct jsonw *w, struct str s)
{
	if (w->error == 0)
		w->error = buf_append_str(w->out, s);
}

static void append_escaped(struct jsonw *w, struct str character)
{
	char code[sizeof("\\u0000")];

	switch (character.p[0]) {
	case '"':
		append(w, STR_LITERAL("\\\""));
		return;
	case '\\':
		append(w, STR_LITERAL("\\\\"));
		return;
	default:
		(void)snprintf(code, sizeof(code), "\\u%04X", (unsigned char)character.p[0]);
		append(w, str_of(code));
	}
}

static bool is_plain(struct str character)
{
	unsigned char first = (unsigned char)character.p[0];

	return first >= 0x20 && first != '"' && first != '\\' && first != 0x7F;
}

static void append_quoted(struct jsonw *w, struct str s)
{
	append(w, STR_LITERAL("\""));
	while (s.n && w->error == 0) {
		struct str plain = {s.p, 0}, rest = s;
		size_t n;

		while ((n = utf8_first(rest)) && is_plain(rest)) {
			plain.n += n;
			rest.p += n;
			rest.n -= n;
		}
		append(w, plain);
		if (rest.n == 0)
			break;
		if (n)
			append_escaped(w, rest);
		else
			append(w, STR_LITERAL("\xEF\xBF\xBD"));
		s = (struct str){rest.p + 1, rest.n - 1};
	}
	append(w, STR_LITERAL("\""));
}

/* What stands before a value: the comma and the member's name. */
static void begin_value(struct jsonw *w, const char *name)
{
	if (w->comma)
		append(w, STR_LITERAL(","));
	w->comma = true;
	if (!name)
		return;
	append_quoted(w, str_of(name));
	append(w, STR_LITERAL(":"));
}

void jsonw_begin(struct jsonw *w, struct buf *out)
{
	*w = (struct jsonw){.out = out};
}

void jsonw_object(struct jsonw *w, const char *name)
{
	begin_value(w, name);
	append(w, STR_LITERAL("{"));
	w->comma = false;
}

void jsonw_object_end(struct jsonw *w)
{
	append(w, STR_LITERAL("}"));
	w->comma = true;
}

void jsonw_array(struct jsonw *w, const char *name)
{
	begin_value(w, name);
	append(w, STR_LITERAL("["));
	w->comma = false;
}

void jsonw_array_end(struct jsonw *w)
{
	append(w, STR_LITERAL("]"));
	w->comma = true;
}

void jsonw_string(struct jsonw *w, const char *name, struct str value)
{
	begin_value(w, name);
	if (value.p)
		append_quoted(w, value);
	else
		append(w, STR_LITERAL("null"));
}

void jsonw_u64(struct jsonw *w, const char *name, uint64_t value)
{
	begin_value(w, name);
	if (w->error == 0)
		w->error = buf_printf(w->out, "%" PRIu64, value);
}

void jsonw_tenths(struct jsonw *w, const char *name, uint64_t tenths)
{
	begin_value(w, name);
	if (w->error == 0)
		w->error = buf_printf(w->out, "%" PRIu64 ".%" PRIu64, tenths / 10, tenths % 10);
}

void jsonw_bool(struct jsonw *w, const char *name, bool value)
{
	begin_value(w, name);
	append(w, value ? STR_LITERAL("true") : STR_LITERAL("false"));
}

void jsonw_raw(struct jsonw *w, const char *name, struct str json)
{
	begin_value(w, name);
	append(w, json);
}
