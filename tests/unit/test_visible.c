/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/visible.h"

#include <errno.h>

#include "tap.h"

static const struct {
	const char *text, *lines, *line; /* with newlines kept, and without */
	size_t width;                    /* of the last */
} rows[] = {
	{"", "", "", 0},
	{"plain text", "plain text", "plain text", 10},
	{"a\nb\tc", "a\nb\tc", "a\\u000Ab\\u0009c", 15},
	{"\033[31mred", "\\u001B[31mred", "\\u001B[31mred", 13},
	{"\x7f", "\\u007F", "\\u007F", 6},
	{"\xC2\x9B"
	 "31m",
	 "\\u009B31m", "\\u009B31m", 9},
	{"\xE2\x80\xAE", "\\u202E", "\\u202E", 6},
	{"\xEF\xBB\xBF", "\\uFEFF", "\\uFEFF", 6},
	{"\xFF\xC3", "\\xFF\\xC3", "\\xFF\\xC3", 8},
	{"\xED\xA0\x80", "\\xED\\xA0\\x80", "\\xED\\xA0\\x80", 12},
	{"\xC3\xA9\xF0\x9F\x98\x80", "\xC3\xA9\xF0\x9F\x98\x80", "\xC3\xA9\xF0\x9F\x98\x80", 0},
};

static void is_visible(const char *text, bool keeps_lines, const char *want)
{
	struct buf out;
	int r;

	buf_init(&out, 4096);
	r = visible_append(&out, str_of(text), keeps_lines);
	ok(r == 0 && str_eq(buf_str(&out), str_of(want)), "%s", want);
	buf_done(&out);
}

static void test_append(void)
{
	struct buf small;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		is_visible(rows[i].text, true, rows[i].lines);
		is_visible(rows[i].text, false, rows[i].line);
	}
	buf_init(&small, 5);
	is_int(visible_append(&small, str_of("\033"), false), -EMSGSIZE, "a ceiling is kept");
	buf_done(&small);
}

static void test_width(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows) - 1; i++)
		is_u64(visible_width(str_of(rows[i].line)), rows[i].width, "width of %s",
		       rows[i].line);
}

static void test_cut(void)
{
	struct str text = STR_LITERAL("h\xC3\xA9llo");

	for (size_t columns = 0; columns < 8; columns++) {
		struct str cut = visible_cut(text, columns);
		size_t want = columns < 5 ? columns : 5;

		is_u64(visible_width(cut), want, "cut to %zu columns", columns);
		ok(utf8_is_valid(cut), "at the end of a character");
	}
}

int main(void)
{
	test_append();
	test_width();
	test_cut();
	return tap_done();
}
