/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonstring.h"

#include <errno.h>

#include "tests/tap.h"

/* Every kind of byte at every place around the widths of the scanner's steps. */
static void test_long_strings(void)
{
	static const struct {
		char byte;
		enum json_error error;
	} cases[] = {
		{'x', JSON_OK},          {'\x7F', JSON_OK},       {'\x1F', JSON_SYNTAX},
		{'\0', JSON_SYNTAX},     {'\\', JSON_BAD_ESCAPE}, {'"', JSON_TRAILING_BYTES},
		{'\x80', JSON_BAD_UTF8}, {'\xFF', JSON_BAD_UTF8},
	};
	char text[202];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool same = true;

		/* A backslash as the last one would make the closing quote an escape. */
		for (size_t at = 1; at < sizeof(text) - 2; at++) {
			struct jsonscan scan = {0};

			memset(text, 'a', sizeof(text));
			text[0] = text[sizeof(text) - 1] = '"';
			text[at] = cases[i].byte;
			same &= jsonscan_run(&scan, (struct str){text, sizeof(text)}) ==
				cases[i].error;
			same &= scan.error_offset == (cases[i].error == JSON_OK ? sizeof(text)
						      : cases[i].error == JSON_TRAILING_BYTES
							      ? at + 1
							      : at);
		}
		ok(same, "byte %02X is judged alike at every place", (unsigned char)cases[i].byte);
	}
}

static void test_decode(void)
{
	static const struct {
		struct str text, want;
		int error;
	} cases[] = {
		{STR_INIT("\"\""), STR_INIT(""), 0},
		{STR_INIT("\"plain\""), STR_INIT("plain"), 0},
		{STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), STR_INIT("\"\\/\b\f\n\r\t"), 0},
		{STR_INIT("\"\\u0041\\u00e9\\u20AC\\uD83D\\ude00\""),
		 STR_INIT("A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), 0},
		{STR_INIT("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\\udbff\\udfff\""),
		 STR_INIT("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF"), 0},
		{STR_INIT("\"\xC3\xA9\""), STR_INIT("\xC3\xA9"), 0},
		{STR_INIT("\"a\\u0000b\""), STR_INIT("a\0b"), 0},
		{STR_INIT("\"sixteen bytes ok\""), STR_INIT("sixteen bytes ok"), 0},
		{STR_INIT("\"seventeen bytes..\""), STR_INIT(""), -EMSGSIZE},
		{STR_INIT("\"fifteen bytes..\\u00e9\""), STR_INIT(""), -EMSGSIZE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct json_value value = {JSON_STRING, cases[i].text};
		size_t len = 0;
		char out[16];

		is_int(json_string_decode(value, out, sizeof(out), &len), cases[i].error,
		       "string %zu is decoded", i);
		ok(str_eq((struct str){out, len}, cases[i].want), "string %zu: its characters", i);
	}
	is_int(json_string_decode((struct json_value){JSON_NUMBER, STR_LITERAL("123")},
				  (char[1]){0}, 1, &(size_t){0}),
	       -EINVAL, "a number is no string");
}

/* How a text begins does not depend on how its characters are written. */
static void test_beginnings(void)
{
	char plain[600], escaped[6 * sizeof(plain) + 1], a[JSONSTRING_BLOCK_BYTES],
		b[JSONSTRING_BLOCK_BYTES];
	bool same = true;

	memset(plain, 'a', sizeof(plain));
	for (size_t i = 0; i < sizeof(plain); i++)
		(void)snprintf(escaped + 6 * i, 7, "\\u0061");
	for (size_t n = 0; n <= sizeof(plain); n++) {
		struct str one = jsonstring_begin((struct str){plain, n}, a);

		same &= str_eq(one, jsonstring_begin((struct str){escaped, 6 * n}, b));
		same &= n > JSONSTRING_SHORT_BYTES ? one.n > JSONSTRING_SHORT_BYTES : one.n == n;
	}
	ok(same, "equal strings begin alike, short ones to their end");
}

int main(void)
{
	test_long_strings();
	test_decode();
	test_beginnings();
	return tap_done();
}
