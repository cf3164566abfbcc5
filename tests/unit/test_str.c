/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/tap.h"

#define S(text) STR_LITERAL(text)

static void test_compare(void)
{
	ok(str_eq(S("abc"), S("abc")), "equal texts are equal");
	ok(!str_eq(S("abc"), S("abd")), "different texts are not");
	ok(!str_eq(S("abc"), S("ab")), "a prefix is not equal");
	ok(str_eq(str_of(NULL), S("")), "NULL is the empty text");
	ok(str_compare(S("ab"), S("ab")) == 0, "equal texts have no order");
	ok(str_compare(S("ab"), S("b")) < 0, "the first other byte decides");
	ok(str_compare(S("a"), S("ab")) < 0 && str_compare(S("ab"), S("a")) > 0,
	   "what a text begins with comes before it");
	ok(str_compare(str_of(NULL), S("a")) < 0 && str_compare(S("\xFF"), S("a")) > 0,
	   "nothing comes first, bytes have no sign");
	ok(str_eq_nocase(S("Content-TYPE"), S("content-type")), "case is ignored");
	ok(!str_eq_nocase(S("@"), S("`")), "only letters have case");
	ok(!str_eq_nocase(S("\xC3\x84"), S("\xC3\xA4")), "only ASCII letters have case");
	ok(!str_eq_nocase(S("a"), S("ab")), "lengths count without case too");
	ok(str_folds_to(S("mo-Del"), S("mo-del")), "case is folded");
	ok(str_folds_to(S("\xC5\xBF\xE2\x84\xAAs"), S("sks")), "also of what folds to ASCII");
	ok(str_folds_to(S(""), S("")), "nothing is nothing");
	ok(!str_folds_to(S("ab"), S("a")) && !str_folds_to(S("a"), S("ab")),
	   "it is all or nothing");
	ok(!str_folds_to(S("\xC5"), S("s")) && !str_folds_to(S("ac"), S("ab")),
	   "other texts differ");
	ok(str_has_prefix(S("Bearer x"), S("Bearer ")), "a prefix is found");
	ok(str_has_prefix(S("x"), S("")), "the empty text is a prefix of all");
	ok(!str_has_prefix(S("Bear"), S("Bearer ")), "a longer text is no prefix");
}

static void test_trim_and_split(void)
{
	struct str rest = S("a,,b"), empty = str_of(NULL);

	ok(str_eq(str_trim(S(" \t a b \t")), S("a b")), "blanks around are trimmed");
	ok(str_trim(S(" \t ")).n == 0, "blanks alone trim to nothing");
	ok(str_eq(str_trim(S("\na\r")), S("\na\r")), "line ends are not blanks");

	ok(str_eq(str_split(&rest, ','), S("a")), "first part");
	ok(str_eq(str_split(&rest, ','), S("")) && rest.p, "empty part between separators");
	ok(str_eq(str_split(&rest, ','), S("b")) && !rest.p, "last part, and no more");
	rest = S("a,");
	ok(str_eq(str_split(&rest, ','), S("a")) && rest.p && rest.n == 0,
	   "a separator at the end leaves an empty rest");
	ok(str_split(&empty, ',').n == 0 && !empty.p, "nothing splits into nothing");
	ok(str_list_has(S("close"), S("Close")) && str_list_has(S(", a ,\tTE,b"), S("te")),
	   "an element of a list, in any case");
	ok(!str_list_has(S("close, ab"), S("a")) && !str_list_has(empty, S("a")),
	   "a part of one is none");
}

static void test_numbers(void)
{
	static const struct {
		const char *text;
		int error;
		uint64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999999", -ERANGE, 0},
		{"99999999999999999999999999x", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"0x1", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 42;

		is_int(str_to_u64(str_of(cases[i].text), &value), cases[i].error, "\"%s\" parses",
		       cases[i].text);
		is_u64(value, cases[i].error ? 42 : cases[i].value, "\"%s\" gives its value",
		       cases[i].text);
	}
}

static void test_dup(void)
{
	char *copy = str_dup((struct str){"abcdef", 3}), *empty = str_dup(str_of(NULL));

	is_text(copy, "abc", "a copy ends where the slice ends");
	is_text(empty, "", "a copy of nothing is the empty text");
	free(copy);
	free(empty);
}

static void test_utf8(void)
{
	static const struct {
		struct str text;
		bool valid;
		const char *what;
	} cases[] = {
		{STR_INIT(""), true, "empty"},
		{STR_INIT("plain text of more than eight bytes"), true, "ASCII"},
		{STR_INIT("\0"), true, "NUL"},
		{STR_INIT("\xC2\x80\xDF\xBF"), true, "two bytes"},
		{STR_INIT("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"), true, "three"},
		{STR_INIT("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"), true, "four bytes"},
		{STR_INIT("\xC0\x80"), false, "overlong NUL"},
		{STR_INIT("\xC1\xBF"), false, "overlong two bytes"},
		{STR_INIT("\xE0\x9F\xBF"), false, "overlong three bytes"},
		{STR_INIT("\xF0\x8F\xBF\xBF"), false, "overlong four bytes"},
		{STR_INIT("\xED\xA0\x80"), false, "high surrogate"},
		{STR_INIT("\xED\xBF\xBF"), false, "low surrogate"},
		{STR_INIT("\xF4\x90\x80\x80"), false, "above U+10FFFF"},
		{STR_INIT("\xF5\x80\x80\x80"), false, "impossible first byte"},
		{STR_INIT("\x80"), false, "continuation alone"},
		{STR_INIT("\xC3"), false, "cut after one of two"},
		{STR_INIT("\xE2\x82"), false, "cut after two of three"},
		{STR_INIT("\xF0\x9F\x98"), false, "cut after three of four"},
		{STR_INIT("\xC3("), false, "second byte is none"},
		{STR_INIT("\xE2\x82("), false, "third byte is none"},
		{STR_INIT("twelve bytes\xFF"), false, "behind a run of ASCII"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ok(utf8_is_valid(cases[i].text) == cases[i].valid, "UTF-8: %s", cases[i].what);
	is_u64(utf8_first(S("\xE2\x82\xAC!")), 3, "the first character has three bytes");
	is_u64(utf8_first(S("")), 0, "there is no first character in nothing");
}

static void test_cut(void)
{
	struct str euro = S("ab\xE2\x82\xAC"), junk = S("\x80\x80\x80\x80\x80\x80\x80\x80");

	is_u64(utf8_cut(euro, 9), 5, "short text is not cut");
	is_u64(utf8_cut(euro, 5), 5, "nor is text of just that length");
	is_u64(utf8_cut(euro, 4), 2, "no cut inside a character (third byte)");
	is_u64(utf8_cut(euro, 3), 2, "no cut inside a character (second byte)");
	is_u64(utf8_cut(euro, 2), 2, "a cut before it");
	is_u64(utf8_cut(euro, 0), 0, "a cut to nothing");
	is_u64(utf8_cut(S("\xF0\x9F\x98\x80"), 3), 0, "one character that does not fit");
	is_u64(utf8_cut(junk, 6), 6, "what is not UTF-8 is cut where asked");
	is_u64(utf8_cut(junk, 2), 2, "also near the start");
}

static void test_percent(void)
{
	static const struct {
		struct str text, want;
	} cases[] = {
		{STR_INIT(""), STR_INIT("")},
		{STR_INIT("name%5B%5d"), STR_INIT("name[]")},
		{STR_INIT("%25"), STR_INIT("%")},
		{STR_INIT("%2525"), STR_INIT("%25")},
		{STR_INIT("%"), STR_INIT("%")},
		{STR_INIT("a%4"), STR_INIT("a%4")},
		{STR_INIT("%G0%0g%%41"), STR_INIT("%G0%0g%A")},
		{STR_INIT("%00%fF"), STR_INIT("\0\xff")},
	};
	char out[16];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		is_int(str_percent_decode(cases[i].text, out, sizeof(out), &n), 0,
		       "percent-decoding %s", cases[i].text.p);
		ok(str_eq((struct str){out, n}, cases[i].want), "gives what it means");
	}
	is_int(str_percent_decode(S("%41%42"), out, 2, &n), 0, "two bytes fit into two");
	is_int(str_percent_decode(S("%41%42c"), out, 2, &n), -EMSGSIZE, "three do not");
}

int main(void)
{
	test_percent();
	test_compare();
	test_trim_and_split();
	test_numbers();
	test_dup();
	test_utf8();
	test_cut();
	return tap_done();
}
