/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_value.h"

#include <errno.h>

#include "base/clock.h"
#include "tests/tap.h"

static const struct {
	const char *text;
	int r;
	uint64_t ns;
} durations[] = {
	{"0", 0, 0},
	{"1", 0, NS_PER_SEC},
	{"0.25", 0, NS_PER_SEC / 4},
	{"3.000000001", 0, 3 * NS_PER_SEC + 1},
	{"1.0000000001", -EINVAL, 0},
	{"1.", -EINVAL, 0},
	{".5", -EINVAL, 0},
	{"", -EINVAL, 0},
	{"-1", -EINVAL, 0},
	{"1e3", -EINVAL, 0},
	{"1s", -EINVAL, 0},
	{"18446744074", -ERANGE, 0},
	{"99999999999999999999", -ERANGE, 0},
};

static void test_durations(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		struct config_value value = {.kind = VALUE_TEXT, .text = durations[i].text};
		uint64_t ns = 0;

		is_int(config_value_duration(&value, &ns), durations[i].r, "duration \"%s\"",
		       durations[i].text);
		is_u64(ns, durations[i].ns, "in nanoseconds");
	}
}

static const struct {
	const char *text;
	int size, octal, count;
	uint64_t bytes, mode, number;
} numbers[] = {
	{"0", 0, 0, 0, 0, 0, 0},
	{"17", 0, 0, 0, 17, 017, 17},
	{"0660", 0, 0, 0, 660, 0660, 660},
	{"1k", 0, -EINVAL, -EINVAL, 1024, 0, 0},
	{"2M", 0, -EINVAL, -EINVAL, 2 << 20, 0, 0},
	{"3g", 0, -EINVAL, -EINVAL, 3ull << 30, 0, 0},
	{"9", 0, -EINVAL, 0, 9, 0, 9},
	{"", -EINVAL, -EINVAL, -EINVAL, 0, 0, 0},
	{"K", -EINVAL, -EINVAL, -EINVAL, 0, 0, 0},
	{"1KB", -EINVAL, -EINVAL, -EINVAL, 0, 0, 0},
	{"1 K", -EINVAL, -EINVAL, -EINVAL, 0, 0, 0},
	{"-1", -EINVAL, -EINVAL, -EINVAL, 0, 0, 0},
	{"+1", -EINVAL, -EINVAL, -EINVAL, 0, 0, 0},
	{"0x1", -EINVAL, -EINVAL, -EINVAL, 0, 0, 0},
	{"17179869183G", 0, -EINVAL, -EINVAL, 17179869183ull << 30, 0, 0},
	{"17179869184G", -ERANGE, -EINVAL, -EINVAL, 0, 0, 0},
	{"7777777777777777777777", -ERANGE, -ERANGE, -ERANGE, 0, 0, 0},
};

static void test_numbers(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct config_value value = {.kind = VALUE_TEXT, .text = numbers[i].text};
		uint64_t bytes = 0, mode = 0, number = 0;

		is_int(config_value_size(&value, &bytes), numbers[i].size, "size \"%s\"",
		       numbers[i].text);
		is_u64(bytes, numbers[i].bytes, "in bytes");
		is_int(config_value_octal(&value, &mode), numbers[i].octal, "octal \"%s\"",
		       numbers[i].text);
		is_u64(mode, numbers[i].mode, "as a mode");
		is_int(config_value_count(&value, &number), numbers[i].count, "count \"%s\"",
		       numbers[i].text);
		is_u64(number, numbers[i].number, "as a number");
	}
}

/* What has a type of its own is not reinterpreted. */
static void test_kinds(void)
{
	const struct config_value string = {.kind = VALUE_STRING, .text = "1"};
	const struct config_value real = {.kind = VALUE_REAL, .real = 1.5};
	const struct config_value nan = {.kind = VALUE_REAL, .real = __builtin_nan("")};
	const struct config_value negative = {.kind = VALUE_INTEGER, .integer = -1};
	uint64_t number;
	bool truth;

	is_int(config_value_count(&string, &number), -EINVAL, "a string is no number");
	is_int(config_value_duration(&string, &number), -EINVAL, "a string is no duration");
	is_int(config_value_bool(&string, &truth), -EINVAL, "a string is no boolean");
	is_int(config_value_size(&string, &number), 0, "a string may be a size");
	is_int(config_value_count(&real, &number), -EINVAL, "no fraction of a number");
	is_int(config_value_size(&real, &number), -EINVAL, "no fraction of a byte");
	is_int(config_value_duration(&real, &number), 0, "a fraction of a second");
	is_u64(number, 1500 * NS_PER_MSEC, "in nanoseconds");
	is_int(config_value_duration(&nan, &number), -ERANGE, "not a number");
	is_int(config_value_duration(&negative, &number), -ERANGE, "a negative duration");
	is_int(config_value_count(&negative, &number), -ERANGE, "a negative number");
}

static const struct {
	const char *text;
	int r;
	bool truth;
} truths[] = {
	{"true", 0, true},         {"TRUE", 0, true},    {"1", 0, true},
	{"false", 0, false},       {"False", 0, false},  {"0", 0, false},
	{"yes", -EINVAL, false},   {"", -EINVAL, false}, {"2", -EINVAL, false},
	{"true ", -EINVAL, false},
};

static void test_words(void)
{
	const struct config_value second = {.kind = VALUE_STRING, .text = "two"};
	const struct config_value part = {.kind = VALUE_STRING, .text = "tw"};
	const struct config_value both = {.kind = VALUE_STRING, .text = "one two"};
	const struct config_value none = {.kind = VALUE_STRING, .text = ""};
	unsigned position = 7;

	for (size_t i = 0; i < ARRAY_SIZE(truths); i++) {
		struct config_value value = {.kind = VALUE_TEXT, .text = truths[i].text};
		bool truth = false;

		is_int(config_value_bool(&value, &truth), truths[i].r, "boolean \"%s\"",
		       truths[i].text);
		ok(truth == truths[i].truth, "which is %d", truths[i].truth);
	}
	is_int(config_value_word(&part, "one two", &position), -EINVAL, "a part of a word");
	is_int(config_value_word(&both, "one two", &position), -EINVAL, "two words");
	is_int(config_value_word(&none, "one two", &position), -EINVAL, "no word");
	is_u64(position, 7, "leave the result alone");
	is_int(config_value_word(&second, "one two", &position), 0, "a word");
	is_u64(position, 1, "by its position");
}

int main(void)
{
	test_durations();
	test_numbers();
	test_kinds();
	test_words();
	return tap_done();
}
