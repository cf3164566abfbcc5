/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonx.h"

#include <errno.h>
#include <stdlib.h>

#include "base/jsonscan.h"
#include "tests/tap.h"

static void test_parse(void)
{
	static const struct {
		const char *text;
		bool accepted;
	} cases[] = {
		{"{}", true},
		{" [1,2] ", true},
		{"12", true},
		{"-0", true},
		{"1E5", true},
		{"\"x\"", true},
		{"true", true},
		{"99999999999999999999999999", true},
		{"1e999", true},
		{"", false},
		{"{'a':1}", false},
		{"{\"a\":1,\"a\":2}", true},
		{"[1,]", false},
		{"NaN", false},
		{"[1] x", false},
		{"\"\xFF\"", false},
		{"{\"model\":\"a\",\"model\\u0000x\":\"evil\"}", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct json_object *object = jsonx_parse(str_of(cases[i].text));

		ok((object != NULL) == cases[i].accepted, "%s is %s", cases[i].text,
		   cases[i].accepted ? "accepted" : "refused");
		ok(!jsonx_free(object), "and freed");
	}
}

static void test_deepest(void)
{
	char text[2 * JSONSCAN_MAX_DEPTH + 1];
	struct json_object *object;

	/* The number is one level more to json-c. */
	memset(text, '[', JSONSCAN_MAX_DEPTH);
	text[JSONSCAN_MAX_DEPTH] = '1';
	memset(text + JSONSCAN_MAX_DEPTH + 1, ']', JSONSCAN_MAX_DEPTH);
	object = jsonx_parse((struct str){text, sizeof(text)});
	ok(object != NULL, "what the scanner's depth allows is parsed");
	jsonx_free(object);
}

static void test_read(void)
{
	struct json_object *root = jsonx_parse(
		STR_LITERAL("{\"data\":[{\"id\":\"a\\u0000b\"},7,-1,18446744073709551616,1.0,true,"
			    "9223372036854775808,null],\"n\":null}"));
	struct json_object *data = jsonx_get(root, "data"), *value;
	struct str id = jsonx_string(jsonx_get(jsonx_at(data, 0), "id"));
	uint64_t number = 42;
	void *cursor = NULL;
	const char *name;

	is_u64(jsonx_length(data), 8, "an array has its length");
	is_u64(jsonx_length(root), 0, "an object has none");
	ok(!jsonx_at(data, 8) && !jsonx_at(root, 0) && !jsonx_at(NULL, 0), "nothing past the end");
	ok(!jsonx_get(root, "absent") && !jsonx_get(data, "id") && !jsonx_get(NULL, "id"),
	   "an absent member is NULL");
	ok(str_eq(id, STR_LITERAL("a\0b")), "a string is whole");
	ok(!jsonx_string(jsonx_at(data, 1)).p && !jsonx_string(NULL).p, "a number is no string");
	is_int(jsonx_u64(jsonx_at(data, 1), &number), 0, "an integer is read");
	is_u64(number, 7, "with its value");
	is_int(jsonx_u64(jsonx_at(data, 2), &number), -EINVAL, "a negative one is refused");
	is_int(jsonx_u64(jsonx_at(data, 3), &number), -EINVAL, "one too large is refused");
	is_int(jsonx_u64(jsonx_at(data, 4), &number), -EINVAL, "a fraction is refused");
	is_int(jsonx_u64(jsonx_at(data, 5), &number), -EINVAL, "true is no number");
	is_int(jsonx_u64(NULL, &number), -EINVAL, "nothing is no number");
	is_u64(number, 7, "a refusal leaves the output");
	is_int(jsonx_u64(jsonx_at(data, 6), &number), 0, "a large one is read");
	is_u64(number, UINT64_C(9223372036854775808), "exactly");
	ok(jsonx_next_member(root, &cursor, &name, &value) && strcmp(name, "data") == 0 &&
		   value == data,
	   "the first member is visited");
	ok(jsonx_next_member(root, &cursor, &name, &value) && strcmp(name, "n") == 0 && !value,
	   "and the second, null");
	ok(!jsonx_next_member(root, &cursor, &name, &value), "and then no more");
	cursor = NULL;
	ok(!jsonx_next_member(data, &cursor, &name, &value), "an array has no members");
	jsonx_free(root);
}

static void test_write(void)
{
	struct buf out;
	struct jsonw w;

	buf_init(&out, 1000);
	jsonw_begin(&w, &out);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "text", STR_LITERAL("a\"b\\c\n\x01\x7F/\0\xC3\xA9"));
	jsonw_string(&w, "bad", STR_LITERAL("\xFF.\xE2\x82"));
	jsonw_string(&w, "none", str_of(NULL));
	jsonw_string(&w, "empty", str_of(""));
	jsonw_u64(&w, "n\"", UINT64_MAX);
	jsonw_tenths(&w, "t", 123);
	jsonw_tenths(&w, "t0", 5);
	jsonw_array(&w, "list");
	jsonw_bool(&w, NULL, true);
	jsonw_bool(&w, NULL, false);
	jsonw_object(&w, NULL);
	jsonw_object_end(&w);
	jsonw_array(&w, NULL);
	jsonw_array_end(&w);
	jsonw_raw(&w, NULL, STR_LITERAL("{\"x\":1}"));
	jsonw_array_end(&w);
	jsonw_u64(&w, "last", 0);
	jsonw_object_end(&w);
	is_int(w.error, 0, "a document is written");
	is_int(buf_append(&out, "", 1), 0, "(with a NUL for the test)");
	is_text(out.data,
		"{\"text\":\"a\\\"b\\\\c\\u000A\\u0001\\u007F/\\u0000\xC3\xA9\","
		"\"bad\":\"\xEF\xBF\xBD.\xEF\xBF\xBD\xEF\xBF\xBD\",\"none\":null,\"empty\":\"\","
		"\"n\\\"\":18446744073709551615,\"t\":12.3,\"t0\":0.5,"
		"\"list\":[true,false,{},[],{\"x\":1}],\"last\":0}",
		"as it should be");
	out.len--;
	ok(jsonscan_run(&(struct jsonscan){0}, buf_str(&out)) == JSON_OK, "and is strict JSON");
	buf_done(&out);
}

static void test_write_error(void)
{
	struct buf out;
	struct jsonw w;

	buf_init(&out, 8);
	jsonw_begin(&w, &out);
	jsonw_array(&w, NULL);
	jsonw_string(&w, NULL, STR_LITERAL("too long for it"));
	is_int(w.error, -EMSGSIZE, "the ceiling is an error");
	jsonw_u64(&w, NULL, 1);
	jsonw_array_end(&w);
	is_int(w.error, -EMSGSIZE, "that sticks");
	buf_done(&out);
}

int main(void)
{
	test_parse();
	test_deepest();
	test_read();
	test_write();
	test_write_error();
	return tap_done();
}
