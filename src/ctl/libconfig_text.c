/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/libconfig_text.h"

#include "base/jsonx.h"
#include "ctl/visible.h"

static int write_value(struct json_object *value, unsigned depth, struct buf *out);

static int indent(unsigned depth, struct buf *out)
{
	int r = 0;

	while (r == 0 && depth-- > 0)
		r = buf_append(out, "\t", 1);
	return r;
}

static int write_members(struct json_object *object, unsigned depth, struct buf *out)
{
	void *cursor = NULL;
	const char *name;
	struct json_object *value;
	int r = 0;

	while (r == 0 && jsonx_next_member(object, &cursor, &name, &value)) {
		r = indent(depth, out);
		if (r == 0)
			r = buf_printf(out, "%s = ", name);
		if (r == 0)
			r = write_value(value, depth, out);
		if (r == 0)
			r = buf_append_str(out, STR_LITERAL(";\n"));
	}
	return r;
}

static int write_group(struct json_object *object, unsigned depth, struct buf *out)
{
	int r = buf_append_str(out, STR_LITERAL("{\n"));

	if (r == 0)
		r = write_members(object, depth + 1, out);
	if (r == 0)
		r = indent(depth, out);
	return r < 0 ? r : buf_append(out, "}", 1);
}

static int write_groups(struct json_object *array, unsigned depth, struct buf *out)
{
	size_t n = jsonx_length(array);
	int r = buf_append_str(out, STR_LITERAL("(\n"));

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = indent(depth + 1, out);
		if (r == 0)
			r = write_group(jsonx_at(array, i), depth + 1, out);
		if (r == 0)
			r = buf_append_str(out, i + 1 < n ? STR_LITERAL(",\n") : STR_LITERAL("\n"));
	}
	if (r == 0)
		r = indent(depth, out);
	return r < 0 ? r : buf_append(out, ")", 1);
}

/* Its arrays hold one type, so that numbers with and without a point need a list. */
static int write_array(struct json_object *array, unsigned depth, struct buf *out)
{
	size_t n = jsonx_length(array);
	bool are_texts = jsonx_kind(jsonx_at(array, 0)) == JSONX_STRING;
	int r;

	if (jsonx_kind(jsonx_at(array, 0)) == JSONX_OBJECT)
		return write_groups(array, depth, out);
	r = buf_append(out, are_texts ? "[" : "(", 1);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = buf_append_str(out, i ? STR_LITERAL(", ") : STR_LITERAL(" "));
		if (r == 0)
			r = write_value(jsonx_at(array, i), depth, out);
	}
	return r < 0 ? r : buf_append_str(out, are_texts ? STR_LITERAL(" ]") : STR_LITERAL(" )"));
}

/* The configuration takes no control characters: quote and backslash are all there is to escape. */
static int write_text(struct str text, struct buf *out)
{
	int r = buf_append(out, "\"", 1);

	while (r == 0 && text.n) {
		size_t n = 0;

		while (n < text.n && text.p[n] != '"' && text.p[n] != '\\')
			n++;
		r = visible_append(out, (struct str){text.p, n}, false);
		if (r == 0 && n < text.n)
			r = buf_printf(out, "\\%c", text.p[n++]);
		text = (struct str){text.p + n, text.n - n};
	}
	return r < 0 ? r : buf_append(out, "\"", 1);
}

static int write_value(struct json_object *value, unsigned depth, struct buf *out)
{
	switch (jsonx_kind(value)) {
	case JSONX_OBJECT:
		return write_group(value, depth, out);
	case JSONX_ARRAY:
		return write_array(value, depth, out);
	case JSONX_STRING:
		return write_text(jsonx_string(value), out);
	default:
		return buf_append_str(out, str_of(jsonx_text(value, false)));
	}
}

int libconfig_text_write(struct json_object *config, struct buf *out)
{
	return write_members(config, 0, out);
}
