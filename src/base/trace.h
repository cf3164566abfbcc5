/* SPDX-License-Identifier: Apache-2.0 */
/* The trace that a request belongs to, as W3C Trace Context names it. */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct trace_id {
	uint64_t high, low; /* both 0: none */
};

/* From the value of a traceparent header (Trace Context level 1, section 3.2). -EINVAL. */
int trace_parse(struct str traceparent, struct trace_id *ret_id) MUST_CHECK;
