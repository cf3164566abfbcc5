/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Observations of several series of one histogram family, added up: what percentiles of a model, of
 * a backend or of an interval are taken from. All zero is one without observations. Not shared.
 */
#pragma once

#include "metrics/snapshot.h"

struct distribution {
	const struct histogram *shape; /* NULL before the first addition; lives with the registry */
	uint64_t count, sum;
	uint64_t buckets[HISTOGRAM_MAX_BUCKETS];
};

struct percentiles {
	uint64_t count; /* of observations; without any the others say nothing */
	uint64_t p50, p95, p99;
};

/* Always of the same family, one with buckets. */
void distribution_add(struct distribution *distribution, const struct sample *sample);
/* Takes away what was there `before`. */
void distribution_subtract(struct distribution *distribution, const struct distribution *before);
struct percentiles distribution_percentiles(const struct distribution *distribution);
