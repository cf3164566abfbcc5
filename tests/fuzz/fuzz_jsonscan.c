/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes: the scanner's slices lie inside the text, its strings decode to UTF-8, its verdict
 * depends on the paths only where names are ambiguous, and what it accepts json-c accepts too.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/jsonscan.h"
#include "base/jsonx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_path paths[] = {
	{{NULL}},
	{{"model"}},
	{{"stream_options", "include_usage"}},
	{{"messages", "[]", "content", "[]", "type"}},
	{{"messages", "[]"}},
	{{"[]"}},
	{{"a", "b", "c", "d", "e", "f"}},
	{{"", ""}},
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_string(struct json_value value)
{
	char *out = malloc(value.text.n);
	size_t len;

	require(out != NULL);
	/* No escape is longer than what it stands for. */
	require(json_string_decode(value, out, value.text.n, &len) == 0);
	require(utf8_is_valid((struct str){out, len}));
	free(out);
}

static bool may_begin(enum json_value_type type, char c)
{
	static const char *const begins[] = {
		[JSON_NULL] = "n",    [JSON_FALSE] = "f",
		[JSON_TRUE] = "t",    [JSON_NUMBER] = "-0123456789",
		[JSON_STRING] = "\"", [JSON_ARRAY] = "[",
		[JSON_OBJECT] = "{",
	};

	return c && strchr(begins[type], c);
}

static void found(void *context, size_t path_index, struct json_value value)
{
	const struct str *text = context;
	uint64_t number;

	require(path_index < ARRAY_SIZE(paths));
	require(value.text.n > 0 && value.text.p >= text->p);
	require(value.text.p + value.text.n <= text->p + text->n);
	require(may_begin(value.type, value.text.p[0]));
	if (value.type == JSON_STRING)
		check_string(value);
	if (value.type == JSON_NUMBER && json_number_u53(value, &number) == 0)
		require(number <= UINT64_C(1) << 53);
}

static bool is_null(struct str text)
{
	while (text.n && strchr(" \t\r\n", text.p[0]) && text.p[0])
		text = (struct str){text.p + 1, text.n - 1};
	return str_has_prefix(text, STR_LITERAL("null"));
}

static bool is_about_names(enum json_error error)
{
	return error == JSON_DUPLICATE_NAME || error == JSON_NUL_IN_NAME ||
	       error == JSON_NAME_IN_CASE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct jsonscan without = {0}, with = {
					       .paths = paths,
					       .n_paths = ARRAY_SIZE(paths),
					       .found = found,
					       .context = &text,
					       .judges_names = true,
				       };
	enum json_error routed = jsonscan_run(&with, text), error = jsonscan_run(&without, text);
	struct json_object *object;

	require(with.error_offset <= size && without.error_offset <= size);
	require(!is_about_names(error));
	require(routed == error || is_about_names(routed));
	require(is_about_names(routed) ? with.error_path < ARRAY_SIZE(paths)
				       : with.error_offset == without.error_offset);
	require(json_error_text(error) != NULL && json_error_text(routed) != NULL);
	object = jsonx_parse(text);
	/* json-c has no object for null, and cuts names at U+0000. */
	require((object != NULL) == (error == JSON_OK && !is_null(text) && !without.has_nul_name));
	jsonx_free(object);
	return 0;
}
