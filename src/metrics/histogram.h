/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of a histogram: its bounds and a table from a value to its bucket. Values fall into
 * 496 ranges, eight to a power of two, found by counting leading zeros; the table gives the first
 * bucket a range touches and a fixed number of comparisons finds the right one, so that no branch
 * depends on the value. Constant once made.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "metrics/catalog.h"

#define HISTOGRAM_MAX_BOUNDS  CATALOG_MAX_BOUNDS
#define HISTOGRAM_MAX_BUCKETS (HISTOGRAM_MAX_BOUNDS + 1)

enum { HISTOGRAM_RANGES = 496 };

struct histogram {
	size_t n_bounds; /* one bucket more than bounds: above all of them */
	unsigned n_comparisons;
	uint64_t bounds[HISTOGRAM_MAX_BUCKETS]; /* inclusive; UINT64_MAX behind the last one */
	uint8_t first[HISTOGRAM_RANGES];
};

/* -EINVAL unless `bounds` ascend, are at most HISTOGRAM_MAX_BOUNDS and below UINT64_MAX. */
int histogram_init(struct histogram *histogram, const uint64_t *bounds, size_t n) MUST_CHECK;

/* The value below which `permille` thousandths of the observations lie, as far as their buckets
 * tell: linear within a bucket, the last bound for what is above it; 0 without observations.
 * `buckets` are n_bounds + 1 counts. */
uint64_t histogram_quantile(const struct histogram *histogram, const uint64_t *buckets,
			    unsigned permille);

/* Values below 16 have a range each; above, a range is told by the four leading bits. */
static inline size_t histogram_range(uint64_t value)
{
	unsigned shift = 60u - (unsigned)__builtin_clzll(value | 8);

	return 8 * (size_t)shift + (size_t)(value >> shift);
}

/* The index of the first bound that is not below `value`; n_bounds above all. */
static inline size_t histogram_bucket(const struct histogram *histogram, uint64_t value)
{
	size_t bucket = histogram->first[histogram_range(value)];

	for (unsigned i = 0; i < histogram->n_comparisons; i++)
		bucket += value > histogram->bounds[bucket];
	return bucket;
}
