/* SPDX-License-Identifier: Apache-2.0 */
/* Each byte by its own. */
#include "base/grammar.h"
#include "tap.h"

/* The characters of 1..255 that alone are what `is` says, in their order. */
static const char *all_that(bool (*is)(struct str s))
{
	static char found[256];
	size_t n = 0;

	for (int c = 1; c < 256; c++) {
		char text[] = {(char)c, '\0'};

		if (is(str_of(text)))
			found[n++] = text[0];
	}
	found[n] = '\0';
	return found;
}

static bool is_no_field_value(struct str s)
{
	return !grammar_is_field_value(s);
}

#define C0_BUT_TAB                                                                         \
	"\x01\x02\x03\x04\x05\x06\x07\x08\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15" \
	"\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"

int main(void)
{
	const struct str nothing = {NULL, 0}, nul = {"a\0b", 3};

	is_text(all_that(grammar_is_token),
		"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~",
		"the characters of a token");
	is_text(all_that(is_no_field_value), C0_BUT_TAB "\x7f", "and those that no value has");
	is_text(all_that(grammar_has_control),
		"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14"
		"\x15"
		"\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f",
		"the control characters");
	ok(!grammar_is_token(nothing) && !grammar_is_word(nothing, "."), "nothing is no word");
	ok(grammar_is_field_value(nothing) && !grammar_has_control(nothing), "but a value");
	ok(!grammar_is_token(nul) && !grammar_is_word(nul, "") && !grammar_is_field_value(nul) &&
		   grammar_has_control(nul),
	   "a NUL in the middle is seen");
	ok(grammar_is_word(STR_LITERAL("a.9"), ".") && !grammar_is_word(STR_LITERAL("a-9"), "."),
	   "a word has the others that were named");
	return tap_done();
}
