/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict judge of expositions: OpenMetrics 1.0 as its specification reads, and the classic text
 * format as far as it goes along (families in one piece, TYPE before samples, nothing twice). It
 * also demands what a scrape promises: buckets that add up and end in +Inf, _count equal to it.
 */
#pragma once

#include "base/str.h"
#include "export/openmetrics.h"

struct openmetrics_violation {
	size_t line; /* from 1; 0 for none */
	const char *reason;
};

/* The first violation. Aborts without memory. */
struct openmetrics_violation openmetrics_check(struct str text, enum exposition format);
