/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace.h"

#include <errno.h>
#include <stdbool.h>

/* version "-" trace-id "-" parent-id "-" flags */
enum { TRACE_AT = 3, PARENT_AT = 36, FLAGS_AT = 53, V0_BYTES = 55 };

/* Lower case only, as the specification has it. */
static bool parse_hex(struct str text, size_t at, size_t n, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (size_t i = at; i < at + n; i++) {
		char c = text.p[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*ret_value = value;
	return true;
}

/* Later versions may add to it, behind another dash. */
static bool has_length_of(struct str text, uint64_t version)
{
	if (version == 0)
		return text.n == V0_BYTES;
	return version != 0xff && (text.n == V0_BYTES || text.p[V0_BYTES] == '-');
}

int trace_parse(struct str traceparent, struct trace_id *ret_id)
{
	struct str text = str_trim(traceparent);
	uint64_t version, parent, flags;
	struct trace_id id;

	if (text.n < V0_BYTES || text.p[TRACE_AT - 1] != '-' || text.p[PARENT_AT - 1] != '-' ||
	    text.p[FLAGS_AT - 1] != '-')
		return -EINVAL;
	if (!parse_hex(text, 0, 2, &version) || !has_length_of(text, version) ||
	    !parse_hex(text, TRACE_AT, 16, &id.high) ||
	    !parse_hex(text, TRACE_AT + 16, 16, &id.low) ||
	    !parse_hex(text, PARENT_AT, 16, &parent) || !parse_hex(text, FLAGS_AT, 2, &flags))
		return -EINVAL;
	if ((id.high | id.low) == 0 || parent == 0)
		return -EINVAL;
	*ret_id = id;
	return 0;
}
