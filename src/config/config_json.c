/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_json.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/jsonx.h"
#include "config/schema.h"
#include "config/schema_field.h"

enum { DECIMAL_MAX = 40, DEPTH_MAX = 8 };

static void write_object(struct jsonw *w, enum schema_scope scope, const void *object);

/* Billionths as a decimal number without needless zeros. */
static void write_nano(struct jsonw *w, const char *name, uint64_t nano)
{
	char text[DECIMAL_MAX];
	int n = snprintf(text, sizeof(text), "%llu.%09llu", (unsigned long long)(nano / NS_PER_SEC),
			 (unsigned long long)(nano % NS_PER_SEC));

	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	jsonw_raw(w, name, (struct str){text, (size_t)n});
}

/* As it would be written: "10M" where that is exact. */
static void write_size(struct jsonw *w, const char *name, uint64_t bytes)
{
	static const char suffixes[] = "KMG";
	char text[DECIMAL_MAX];
	size_t i = 0;

	if (bytes == 0 || bytes % 1024) {
		jsonw_u64(w, name, bytes);
		return;
	}
	for (bytes /= 1024; bytes % 1024 == 0 && suffixes[i + 1]; i++)
		bytes /= 1024;
	snprintf(text, sizeof(text), "%llu%c", (unsigned long long)bytes, suffixes[i]);
	jsonw_string(w, name, str_of(text));
}

static struct str word_at(const char *words, unsigned position)
{
	struct str rest = str_of(words), word = str_split(&rest, ' ');

	while (position-- > 0)
		word = str_split(&rest, ' ');
	return word;
}

static void write_flags(struct jsonw *w, const char *name, const char *words, unsigned flags)
{
	struct str rest = str_of(words);

	jsonw_array(w, name);
	for (unsigned bit = 1; rest.p; bit <<= 1) {
		struct str word = str_split(&rest, ' ');

		if (flags & bit)
			jsonw_string(w, NULL, word);
	}
	jsonw_array_end(w);
}

static void write_texts(struct jsonw *w, const char *name, const void *field)
{
	char *const *texts = field_pointer(field);

	jsonw_array(w, name);
	for (size_t i = 0; i < field_count(field); i++)
		jsonw_string(w, NULL, str_of(texts[i]));
	jsonw_array_end(w);
}

static void write_bounds(struct jsonw *w, const char *name, const struct config_bounds *bounds)
{
	jsonw_array(w, name);
	for (size_t i = 0; i < bounds->n; i++)
		write_nano(w, NULL, bounds->nano[i]);
	jsonw_array_end(w);
}

static void write_groups(struct jsonw *w, const char *name, const struct option *option,
			 const void *field)
{
	enum schema_scope scope = schema_element_scope(option);
	const char *items = field_pointer(field);

	jsonw_array(w, name);
	for (size_t i = 0; i < field_count(field); i++) {
		jsonw_object(w, NULL);
		write_object(w, scope, items + i * schema_object_size(scope));
		jsonw_object_end(w);
	}
	jsonw_array_end(w);
}

static void write_octal(struct jsonw *w, const char *name, unsigned mode)
{
	char text[DECIMAL_MAX];

	snprintf(text, sizeof(text), "%04o", mode);
	jsonw_string(w, name, str_of(text));
}

static bool is_credential(const struct option *option)
{
	return option->scope == SCOPE_BACKEND && strcmp(option->path, "credential") == 0;
}

static void write_value(struct jsonw *w, const char *name, const struct option *option,
			const void *field)
{
	switch (option->type) {
	case OPTION_CHOICE:
		jsonw_string(w, name, word_at(option->unit, *(const unsigned *)field));
		break;
	case OPTION_EITHER:
		jsonw_string(w, name, word_at(option->unit, *(const bool *)field));
		break;
	case OPTION_FLAGS:
		write_flags(w, name, option->unit, *(const unsigned *)field);
		break;
	case OPTION_BOUNDS:
		write_bounds(w, name, field);
		break;
	case OPTION_SIZE:
		write_size(w, name, *(const uint64_t *)field);
		break;
	case OPTION_DURATION:
	case OPTION_PRICE:
	case OPTION_SHARE:
		write_nano(w, name, *(const uint64_t *)field);
		break;
	case OPTION_COUNT:
		jsonw_u64(w, name, *(const uint64_t *)field);
		break;
	case OPTION_OCTAL:
		write_octal(w, name, *(const unsigned *)field);
		break;
	case OPTION_BOOL:
		jsonw_bool(w, name, *(const bool *)field);
		break;
	case OPTION_TRISTATE:
		jsonw_bool(w, name, *(const enum tristate *)field == TRISTATE_YES);
		break;
	case OPTION_GROUPS:
		write_groups(w, name, option, field);
		break;
	default:
		if (field_is_texts(option))
			write_texts(w, name, field);
		else
			jsonw_string(w, name,
				     str_of(is_credential(option) ? CONFIG_HIDDEN
								  : field_pointer(field)));
	}
}

/* What was not given and has no default would only be noise, and null is no value in the file. */
static bool is_absent(const struct option *option, const void *field)
{
	switch (option->type) {
	case OPTION_TRISTATE:
		return *(const enum tristate *)field == TRISTATE_UNKNOWN;
	case OPTION_GROUPS:
		return option->scope != SCOPE_ROOT && field_count(field) == 0;
	case OPTION_BOUNDS:
		return ((const struct config_bounds *)field)->n == 0;
	default:
		return field_is_text(option) && !field_pointer(field);
	}
}

/* Closes groups until `depth` are open, whose names `open` has, and opens those of the path. Its
 * last name is returned. Options of one group stand together in the table. */
static const char *enter_groups(struct jsonw *w, struct str *open, size_t *depth, const char *path)
{
	struct str rest = str_of(path), name = str_split(&rest, '.');
	size_t same = 0;

	while (same < *depth && rest.p && str_eq(open[same], name)) {
		name = str_split(&rest, '.');
		same++;
	}
	for (; *depth > same; (*depth)--)
		jsonw_object_end(w);
	for (; rest.p; name = str_split(&rest, '.')) {
		char text[OPTION_NAME_MAX];

		snprintf(text, sizeof(text), "%.*s", (int)name.n, name.p);
		jsonw_object(w, text);
		open[(*depth)++] = name;
	}
	return name.p;
}

static void write_object(struct jsonw *w, enum schema_scope scope, const void *object)
{
	struct str open[DEPTH_MAX];
	size_t depth = 0;

	for (size_t i = 0; i < SCHEMA_COUNT; i++) {
		const struct option *option = schema_at(i);
		const void *field = field_of_const(option, object);

		if (option->scope != scope || is_absent(option, field))
			continue;
		write_value(w, enter_groups(w, open, &depth, option->path), option, field);
	}
	while (depth-- > 0)
		jsonw_object_end(w);
}

int config_json_write(const struct config *config, struct buf *out)
{
	struct jsonw w;

	jsonw_begin(&w, out);
	jsonw_object(&w, NULL);
	write_object(&w, SCOPE_ROOT, config);
	jsonw_object_end(&w);
	return w.error;
}
