/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonscan.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "tests/tap.h"

static enum json_error scan(struct str text, size_t *ret_offset)
{
	struct jsonscan scan = {0};
	enum json_error error = jsonscan_run(&scan, text);

	*ret_offset = scan.error_offset;
	return error;
}

static enum json_error verdict(struct str text)
{
	size_t offset;

	return scan(text, &offset);
}

static const struct {
	struct str text;
	enum json_error error;
	size_t offset;
} grammar_cases[] = {
	{STR_INIT("{}"), JSON_OK, 2},
	{STR_INIT(" \t\r\n[ ] \t\r\n"), JSON_OK, 11},
	{STR_INIT("-0"), JSON_OK, 2},
	{STR_INIT("1E5"), JSON_OK, 3},
	{STR_INIT("-12.50e-07"), JSON_OK, 10},
	{STR_INIT("{\"a\":[1,{\"b\":[]},\"c\"],\"d\":{}}"), JSON_OK, 29},
	{STR_INIT("{\"a\":{\"b\":1,\"b\":2}}"), JSON_OK, 19},
	{STR_INIT(""), JSON_SYNTAX, 0},
	{STR_INIT(" "), JSON_SYNTAX, 1},
	{STR_INIT("\xEF\xBB\xBF{}"), JSON_SYNTAX, 0},
	{STR_INIT("nul"), JSON_SYNTAX, 0},
	{STR_INIT("True"), JSON_SYNTAX, 0},
	{STR_INIT("-"), JSON_SYNTAX, 1},
	{STR_INIT("+1"), JSON_SYNTAX, 0},
	{STR_INIT(".5"), JSON_SYNTAX, 0},
	{STR_INIT("1."), JSON_SYNTAX, 2},
	{STR_INIT("1e"), JSON_SYNTAX, 2},
	{STR_INIT("1e+"), JSON_SYNTAX, 3},
	{STR_INIT("01"), JSON_TRAILING_BYTES, 1},
	{STR_INIT("[01]"), JSON_SYNTAX, 2},
	{STR_INIT("[1,]"), JSON_SYNTAX, 3},
	{STR_INIT("[,1]"), JSON_SYNTAX, 1},
	{STR_INIT("[1 2]"), JSON_SYNTAX, 3},
	{STR_INIT("[1}"), JSON_SYNTAX, 2},
	{STR_INIT("{\"a\":1,}"), JSON_SYNTAX, 7},
	{STR_INIT("{\"a\" 1}"), JSON_SYNTAX, 5},
	{STR_INIT("{\"a\"}"), JSON_SYNTAX, 4},
	{STR_INIT("{'a':1}"), JSON_SYNTAX, 1},
	{STR_INIT("{\"a\":1]"), JSON_SYNTAX, 6},
	{STR_INIT("[1]/**/"), JSON_TRAILING_BYTES, 3},
	{STR_INIT("{} {}"), JSON_TRAILING_BYTES, 3},
	{STR_INIT("{}\0"), JSON_TRAILING_BYTES, 2},
	{STR_INIT("\"a"), JSON_SYNTAX, 2},
	{STR_INIT("\"a\nb\""), JSON_SYNTAX, 2},
	{STR_INIT("\"a\0b\""), JSON_SYNTAX, 2},
	{STR_INIT("\"a\x7F\""), JSON_OK, 4},
	{STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u12aF\""), JSON_OK, 24},
	{STR_INIT("\"\\x\""), JSON_BAD_ESCAPE, 1},
	{STR_INIT("\"\\u12g4\""), JSON_BAD_ESCAPE, 1},
	{STR_INIT("\"\\u12"), JSON_BAD_ESCAPE, 1},
	{STR_INIT("\"\\"), JSON_BAD_ESCAPE, 1},
	{STR_INIT("\"\\uD83D\\uDE00\""), JSON_OK, 14},
	{STR_INIT("\"\\uD83D\""), JSON_BAD_ESCAPE, 1},
	{STR_INIT("\"\\uDE00\""), JSON_BAD_ESCAPE, 1},
	{STR_INIT("\"\\uD83D\\u0041\""), JSON_BAD_ESCAPE, 1},
	{STR_INIT("\"\\uD83D\\n\""), JSON_BAD_ESCAPE, 1},
	{STR_INIT("\"\\uD83D\\uD83D\""), JSON_BAD_ESCAPE, 1},
	{STR_INIT("{\"\\uD800\":1}"), JSON_BAD_ESCAPE, 2},
	{STR_INIT("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""), JSON_OK, 11},
	{STR_INIT("\"a\xC0\x80\""), JSON_BAD_UTF8, 2},
	{STR_INIT("\"\xED\xA0\x80\""), JSON_BAD_UTF8, 1},
	{STR_INIT("\"\xC3\""), JSON_BAD_UTF8, 1},
	{STR_INIT("{\"\xFF\":1}"), JSON_BAD_UTF8, 2},
	{STR_INIT("\"\\u0000\""), JSON_OK, 8},
	{STR_INIT("{\"a\":1,\"b\\u0000\":1}"), JSON_NUL_IN_NAME, 7},
	{STR_INIT("[{\"\\u0000\":1}]"), JSON_NUL_IN_NAME, 2},
	{STR_INIT("{\"a\":1,\"b\":2,\"a\":3}"), JSON_DUPLICATE_NAME, 13},
	{STR_INIT("{\"model\":1,\"mod\\u0065l\":2}"), JSON_DUPLICATE_NAME, 11},
	{STR_INIT("{\"\":1,\"\":2}"), JSON_DUPLICATE_NAME, 6},
	{STR_INIT("{\"\\n\":1,\"\\u000a\":2}"), JSON_DUPLICATE_NAME, 8},
	{STR_INIT("{\"\xF0\x9F\x98\x80\":1,\"\\uD83D\\uDE00\":2}"), JSON_DUPLICATE_NAME, 10},
	{STR_INIT("{\"\xC3\xA9\":1,\"\\u00E9\":2}"), JSON_DUPLICATE_NAME, 8},
	{STR_INIT("{\"\xE2\x82\xAC\":1,\"\\u20ac\":2}"), JSON_DUPLICATE_NAME, 9},
	{STR_INIT("{\"a\":1,\"A\":2}"), JSON_OK, 13},
};

static void test_grammar(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(grammar_cases); i++) {
		size_t offset;

		is_int(scan(grammar_cases[i].text, &offset), grammar_cases[i].error, "case %zu: %s",
		       i, json_error_text(grammar_cases[i].error));
		is_u64(offset, grammar_cases[i].offset, "case %zu: its place", i);
	}
	is_int(verdict(str_of(NULL)), JSON_SYNTAX, "no text is no document");
}

/* A document cut anywhere is none. */
static void test_prefixes(void)
{
	static const char text[] =
		"{\"a\":[1,-2.5e+3,true,false,null,{\"\\u00e9\":\"\xE2\x82\xAC\"}],"
		"\"b\":{\"c\":\"\\uD83D\\uDE00\\n\"} }";
	bool refused = true;

	ok(verdict(STR_LITERAL(text)) == JSON_OK, "a whole document is accepted");
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		/* A heap copy without a NUL, so that reading past it is seen. */
		char *cut = malloc(n + (n == 0));

		if (!cut)
			abort();
		memcpy(cut, text, n);
		refused &= verdict((struct str){cut, n}) != JSON_OK;
		free(cut);
	}
	ok(refused, "and none of its beginnings");
}

static void test_depth(void)
{
	char text[2 * JSONSCAN_MAX_DEPTH + 2];
	size_t n = JSONSCAN_MAX_DEPTH, offset;

	memset(text, '[', n);
	memset(text + n, ']', n);
	ok(verdict((struct str){text, 2 * n}) == JSON_OK, "the greatest depth is accepted");
	memset(text, '[', n + 1);
	memset(text + n + 1, ']', n + 1);
	ok(scan((struct str){text, 2 * n + 2}, &offset) == JSON_TOO_DEEP && offset == n,
	   "one more is refused");
}

/* Writes down what was found, as `path=text;`. */
static void note(void *context, size_t path_index, struct json_value value)
{
	if (buf_printf(context, "%zu%c=%.*s;", path_index, "zftnsao"[value.type], (int)value.text.n,
		       value.text.p) < 0)
		abort();
}

static void test_paths(void)
{
	static const struct json_path paths[] = {
		{{"model"}},
		{{"stream_options", "include_usage"}},
		{{"messages", "[]", "role"}},
		{{"messages", "[]"}},
		{{"messages"}},
		{{NULL}},
		{{"[]"}},
		{{"a", "b", "c", "d", "e", "f"}},
		{{"model"}},
		{{""}},
		{{"[]", "[]"}},
	};
	static const struct {
		const char *text, *found;
	} cases[] = {
		{"{\"model\":\"x\"}", "0s=\"x\";8s=\"x\";5o={\"model\":\"x\"};"},
		{"{\"mod\\u0065l\" : 1}", "0n=1;8n=1;5o={\"mod\\u0065l\" : 1};"},
		{"{\"modell\":1,\"mode\":2}", "5o={\"modell\":1,\"mode\":2};"},
		{" true ", "5t=true;"},
		{"[1,[2,{\"model\":3}],false]",
		 "6n=1;10n=2;10o={\"model\":3};6a=[2,{\"model\":3}];6f=false;"
		 "5a=[1,[2,{\"model\":3}],false];"},
		{"{\"messages\":[{\"role\":\"u\"},null,{\"x\":{\"role\":1},\"role\":[ ]}]}",
		 "2s=\"u\";3o={\"role\":\"u\"};3z=null;2a=[ ];3o={\"x\":{\"role\":1},\"role\":[ ]};"
		 "4a=[{\"role\":\"u\"},null,{\"x\":{\"role\":1},\"role\":[ ]}];"
		 "5o={\"messages\":[{\"role\":\"u\"},null,{\"x\":{\"role\":1},\"role\":[ ]}]};"},
		{"{\"messages\":{\"[]\":{\"role\":1}}}",
		 "4o={\"[]\":{\"role\":1}};5o={\"messages\":{\"[]\":{\"role\":1}}};"},
		{"{\"[]\":1}", "5o={\"[]\":1};"},
		{"{\"\":1}", "9n=1;5o={\"\":1};"},
		{"{\"stream_options\":{\"include_usage\":true,\"model\":1}}",
		 "1t=true;5o={\"stream_options\":{\"include_usage\":true,\"model\":1}};"},
		{"{\"stream_options\":[\"include_usage\"]}",
		 "5o={\"stream_options\":[\"include_usage\"]};"},
		{"{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"f\":1}}}}}}}",
		 "7o={\"f\":1};5o={\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"f\":1}}}}}}};"},
		{"{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":[[[[1]]]]}}}}}}",
		 "7a=[[[[1]]]];5o={\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":[[[[1]]]]}}}}}};"},
	};
	struct buf found;

	buf_init(&found, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct jsonscan scan = {paths, ARRAY_SIZE(paths), note, &found, 0};

		buf_clear(&found);
		is_int(jsonscan_run(&scan, str_of(cases[i].text)), JSON_OK, "%s is accepted",
		       cases[i].text);
		if (buf_append(&found, "", 1) < 0)
			abort();
		is_text(found.data, cases[i].found, "and its values are found");
	}
	buf_done(&found);
}

static void test_most_paths(void)
{
	struct json_path paths[JSONSCAN_MAX_PATHS] = {0};
	struct jsonscan scan = {paths, ARRAY_SIZE(paths), note, NULL, 0};
	struct buf found;

	buf_init(&found, 1000);
	scan.context = &found;
	paths[JSONSCAN_MAX_PATHS - 1] = (struct json_path){{"x"}};
	for (size_t i = 0; i < JSONSCAN_MAX_PATHS - 1; i++)
		paths[i] = (struct json_path){{"y"}};
	is_int(jsonscan_run(&scan, STR_LITERAL("{\"x\":1}")), JSON_OK, "as many paths as may be");
	ok(str_eq(buf_str(&found), STR_LITERAL("31n=1;")), "the last of which is found");
	buf_done(&found);
}

static void test_many_names(void)
{
	struct buf text;
	int failed = 0;

	buf_init(&text, 100000);
	for (int i = 0; i < JSONSCAN_MAX_NAMES; i++)
		failed |= buf_printf(&text, "%c\"name %d\":0", i ? ',' : '{', i);
	ok(failed == 0 && buf_append(&text, "}", 1) == 0, "(a large document is made)");
	ok(verdict(buf_str(&text)) == JSON_OK, "as many names as may be");
	text.len--;
	ok(buf_printf(&text, ",\"name 0\":0}") == 0, "(another is made)");
	ok(verdict(buf_str(&text)) == JSON_DUPLICATE_NAME, "the first of them again");
	text.len -= strlen("\"name 0\":0}");
	ok(buf_printf(&text, "\"x\":0}") == 0, "(and another)");
	ok(verdict(buf_str(&text)) == JSON_TOO_MANY_NAMES, "one name more than may be");
	buf_done(&text);
}

/* Long names are the same however they are written, and differ wherever they differ. */
static void test_long_names(void)
{
	bool same = true, differ = true;
	struct buf text;
	char name[801];

	buf_init(&text, 10000);
	for (int n = 1; n < 800; n++) {
		memset(name, 'a', sizeof(name));
		name[n] = '\0';
		buf_clear(&text);
		if (buf_printf(&text, "{\"%s\":1,\"\\u0061%s\":2}", name, name + 1) < 0)
			abort();
		same &= verdict(buf_str(&text)) == JSON_DUPLICATE_NAME;

		buf_clear(&text);
		if (buf_printf(&text, "{\"%s\\u00e9%s\":1,\"%s\xC3\xA9%s\":2}", name, name, name,
			       name) < 0)
			abort();
		same &= verdict(buf_str(&text)) == JSON_DUPLICATE_NAME;

		buf_clear(&text);
		if (buf_printf(&text, "{\"%s\":1,\"%sb\":2,\"%s\":3}", name, name + 1, name + 1) <
		    0)
			abort();
		differ &= verdict(buf_str(&text)) == JSON_OK;
	}
	ok(same, "a long name is found again however it is written");
	ok(differ, "long names that differ in their end do not count as one");
	buf_done(&text);
}

static void test_numbers(void)
{
	static const struct {
		const char *text;
		int error;
		uint64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"9007199254740992", 0, UINT64_C(1) << 53},
		{"9007199254740993", -EINVAL, 0},
		{"99999999999999999999999", -EINVAL, 0},
		{"-0", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
	};
	uint64_t number = 42;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		number = 42;
		is_int(json_number_u53((struct json_value){JSON_NUMBER, str_of(cases[i].text)},
				       &number),
		       cases[i].error, "%s is judged", cases[i].text);
		is_u64(number, cases[i].error ? 42 : cases[i].value, "%s: its value",
		       cases[i].text);
	}
	is_int(json_number_u53((struct json_value){JSON_STRING, STR_LITERAL("\"1\"")}, &number),
	       -EINVAL, "a string is no number");
}

/* The published cases that nexusd refuses on purpose, though the grammar allows them. */
static enum json_error deliberate(const char *name)
{
	static const struct {
		const char *name;
		enum json_error error;
	} files[] = {
		{"y_object_duplicated_key.json", JSON_DUPLICATE_NAME},
		{"y_object_duplicated_key_and_value.json", JSON_DUPLICATE_NAME},
		{"y_object_escaped_null_in_key.json", JSON_NUL_IN_NAME},
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (strcmp(name, files[i].name) == 0)
			return files[i].error;
	return JSON_OK;
}

static int read_file(const char *path, struct buf *ret_content)
{
	FILE *file = fopen(path, "rbe");
	char bytes[4096];
	int r = 0;
	size_t n;

	if (!file)
		return -errno;
	while (r == 0 && (n = fread(bytes, 1, sizeof(bytes), file)) > 0)
		r = buf_append(ret_content, bytes, n);
	(void)fclose(file);
	return r;
}

static void test_suite_file(const char *directory, const char *name)
{
	enum json_error error;
	struct buf text;
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	buf_init(&text, 1 << 20);
	if (read_file(path, &text) < 0) {
		ok(false, "%s can be read", name);
		return;
	}
	error = verdict(buf_str(&text));
	if (name[0] == 'y')
		is_int(error, deliberate(name), "JSONTestSuite %s", name);
	else if (name[0] == 'n')
		ok(error != JSON_OK, "JSONTestSuite %s", name);
	buf_done(&text);
}

static void test_suite(void)
{
	const char *data = getenv("NEXUSD_TEST_DATA"), *srcdir = getenv("srcdir");
	char directory[3000];
	struct dirent *entry;
	DIR *files;

	if (data)
		(void)snprintf(directory, sizeof(directory), "%s/jsontestsuite/test_parsing", data);
	else
		(void)snprintf(directory, sizeof(directory),
			       "%s/../shared/data/jsontestsuite/test_parsing",
			       srcdir ? srcdir : ".");
	files = opendir(directory);
	if (!files) {
		tap_skip("JSONTestSuite", "its files are not here (see $NEXUSD_TEST_DATA)");
		return;
	}
	while ((entry = readdir(files)))
		if (strstr(entry->d_name, ".json"))
			test_suite_file(directory, entry->d_name);
	(void)closedir(files);
}

int main(void)
{
	test_grammar();
	test_prefixes();
	test_depth();
	test_paths();
	test_most_paths();
	test_many_names();
	test_long_names();
	test_numbers();
	test_suite();
	return tap_done();
}
