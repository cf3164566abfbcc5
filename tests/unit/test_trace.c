/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace.h"

#include <errno.h>

#include "tests/tap.h"

#define ID     "0123456789abcdef00000000000000ff"
#define PARENT "-00f067aa0ba902b7-01"

static const struct {
	const char *header;
	int want;
} cases[] = {
	{"00-" ID PARENT, 0},
	{" 00-" ID PARENT "\t", 0},
	{"01-" ID PARENT, 0},
	{"01-" ID PARENT "-more", 0},
	{"fe-" ID PARENT "-", 0},
	{NULL, -EINVAL},
	{"", -EINVAL},
	{ID, -EINVAL},
	{"00-" ID "-00f067aa0ba902b7-0", -EINVAL},
	{"00-" ID PARENT "-more", -EINVAL},
	{"00-" ID PARENT "0", -EINVAL},
	{"01-" ID PARENT "0", -EINVAL},
	{"ff-" ID PARENT, -EINVAL},
	{"0g-" ID PARENT, -EINVAL},
	{"00_" ID PARENT, -EINVAL},
	{"00-" ID "_00f067aa0ba902b7-01", -EINVAL},
	{"00-" ID "-00f067aa0ba902b7_01", -EINVAL},
	{"00-0123456789ABCDEF00000000000000FF" PARENT, -EINVAL},
	{"00-0123456789abcdef0000000000000 ff" PARENT, -EINVAL},
	{"00-00000000000000000000000000000000" PARENT, -EINVAL},
	{"00-" ID "-0000000000000000-01", -EINVAL},
	{"00-" ID "-00f067aa0ba902b7-xx", -EINVAL},
};

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *header = cases[i].header ? cases[i].header : "(absent)";
		struct trace_id id = {1, 2};

		is_int(trace_parse(str_of(cases[i].header), &id), cases[i].want, "%s", header);
		is_u64(id.high, cases[i].want ? 1 : 0x0123456789abcdef, "its upper half");
		is_u64(id.low, cases[i].want ? 2 : 0xff, "its lower half");
	}
	return tap_done();
}
