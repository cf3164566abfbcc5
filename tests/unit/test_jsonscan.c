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
	{STR_INIT("[{\"\\u0000\":1}]"), JSON_OK, 14},
	{STR_INIT("{\"a\":1,\"b\":2,\"a\":3}"), JSON_OK, 19},
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

static struct jsonscan noting(struct buf *notes, const struct json_path *paths, size_t n_paths)
{
	return (struct jsonscan){
		.paths = paths, .n_paths = n_paths, .found = note, .context = notes};
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
		struct jsonscan scan = noting(&found, paths, ARRAY_SIZE(paths));

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
	struct buf found;
	struct jsonscan scan = noting(&found, paths, ARRAY_SIZE(paths));

	buf_init(&found, 1000);
	paths[JSONSCAN_MAX_PATHS - 1] = (struct json_path){{"x"}};
	for (size_t i = 0; i < JSONSCAN_MAX_PATHS - 1; i++)
		paths[i] = (struct json_path){{"y"}};
	is_int(jsonscan_run(&scan, STR_LITERAL("{\"x\":1}")), JSON_OK, "as many paths as may be");
	ok(str_eq(buf_str(&found), STR_LITERAL("31n=1;")), "the last of which is found");
	buf_done(&found);
}

static const struct {
	struct str text;
	enum json_error error;
	size_t offset, path;
} name_cases[] = {
	{STR_INIT("{\"model\":1,\"model\":2}"), JSON_DUPLICATE_NAME, 11, 0},
	{STR_INIT("{\"model\":1,\"mod\\u0065l\":2}"), JSON_DUPLICATE_NAME, 11, 0},
	{STR_INIT("{\"model\":1,\"MODEL\":2}"), JSON_NAME_IN_CASE, 11, 0},
	{STR_INIT("{\"Model\":1,\"x\":2,\"model\":3}"), JSON_NAME_IN_CASE, 1, 0},
	{STR_INIT("{\"x\":1,\"mOdel\":3}"), JSON_NAME_IN_CASE, 7, 0},
	{STR_INIT("{\"a\":{},\"a\":{}}"), JSON_DUPLICATE_NAME, 8, 1},
	{STR_INIT("{\"\":1,\"\":2}"), JSON_DUPLICATE_NAME, 6, 3},
	{STR_INIT("{\"model\\u0000\":1}"), JSON_NUL_IN_NAME, 1, 0},
	{STR_INIT("{\"Model\\u0000x\":1}"), JSON_NUL_IN_NAME, 1, 0},
	{STR_INIT("{\"model\":1,\"model\\u0000\":2}"), JSON_NUL_IN_NAME, 11, 0},
	{STR_INIT("{\"\\u0000model\":1}"), JSON_NUL_IN_NAME, 1, 3},
	{STR_INIT("{\"model\":1,\"modell\":2,\"mode\":3}"), JSON_OK, 31, 0},
	{STR_INIT("{\"model\":1,\"x\":2,\"x\":3}"), JSON_OK, 23, 0},
	{STR_INIT("{\"model\":1,\"b\\u0000\":2}"), JSON_OK, 23, 0},
	{STR_INIT("{\"model\":1,\"x\":{\"model\":2,\"model\\u0000\":3}}"), JSON_OK, 43, 0},
	{STR_INIT("{\"a\":{\"b\":1,\"b\":2,\"B\":3,\"b\\u0000\":4}}"), JSON_OK, 37, 0},
	{STR_INIT("[{\"model\":1,\"model\":2}]"), JSON_OK, 23, 0},
};

static void ignore(void *context, size_t path_index, struct json_value value)
{
	(void)context;
	(void)path_index;
	(void)value;
}

/* What is looked for at the top must be one member for every reader. */
static void test_names(void)
{
	static const struct json_path paths[] = {
		{{"model"}}, {{"a", "b"}}, {{"a"}}, {{""}}, {{"[]", "model"}}};

	for (size_t i = 0; i < ARRAY_SIZE(name_cases); i++) {
		struct jsonscan scan = {.paths = paths,
					.n_paths = ARRAY_SIZE(paths),
					.found = ignore,
					.judges_names = true};
		bool has_nul = memmem(name_cases[i].text.p, name_cases[i].text.n, "\\u0000", 6);

		is_int(jsonscan_run(&scan, name_cases[i].text), name_cases[i].error, "%s",
		       name_cases[i].text.p);
		is_u64(scan.error_offset, name_cases[i].offset, "its place");
		is_u64(scan.error_path, name_cases[i].path, "the member it is about");
		ok(scan.has_nul_name == has_nul, "and whether a name holds U+0000");
		is_int(verdict(name_cases[i].text), JSON_OK,
		       "it is JSON for who looks for nothing");
	}
}

/* Names longer than any that is looked for are like no other, however they are written. */
static void test_long_names(void)
{
	static const struct json_path path = {{"model"}};
	bool accepted = true;
	struct buf text;
	char name[801];

	buf_init(&text, 10000);
	for (int n = 5; n < 800; n++) {
		struct jsonscan scan = {
			.paths = &path, .n_paths = 1, .found = ignore, .judges_names = true};

		memcpy(name, "model", 5);
		memset(name + 5, 'a', sizeof(name) - 5);
		name[n] = '\0';
		buf_clear(&text);
		if (buf_printf(&text, "{\"model\":1,\"%sx\":2,\"%s\\u00e9\":3,\"%s\\u0000x\":4}",
			       name, name, n > 5 ? name : "x") < 0)
			abort();
		accepted &= jsonscan_run(&scan, buf_str(&text)) == JSON_OK && scan.has_nul_name;
	}
	ok(accepted, "long names that begin like one that is looked for");
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
		is_int(error, JSON_OK, "JSONTestSuite %s", name);
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
	test_names();
	test_long_names();
	test_numbers();
	test_suite();
	return tap_done();
}
