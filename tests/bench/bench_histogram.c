/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_histogram.h"

#include <stddef.h>

#define STEP_BITS 7

_Static_assert(1 << STEP_BITS == BENCH_HISTOGRAM_STEPS, "the steps are a power of two");

/* How far a value is shifted right to leave STEP_BITS + 1 significant bits. */
static unsigned int shift_of(uint64_t value)
{
	unsigned int n_bits;

	if (value < 2 * BENCH_HISTOGRAM_STEPS)
		return 0;
	n_bits = 64U - (unsigned int)__builtin_clzll(value);
	return n_bits - STEP_BITS - 1;
}

void bench_histogram_record(struct bench_histogram *histogram, uint64_t value_ns)
{
	const size_t n_counts = sizeof(histogram->counts) / sizeof(histogram->counts[0]);
	unsigned int shift = shift_of(value_ns);
	size_t i = (size_t)shift * BENCH_HISTOGRAM_STEPS + (size_t)(value_ns >> shift);

	if (i >= n_counts)
		i = n_counts - 1;
	histogram->counts[i]++;
	histogram->n_total++;
}

static uint64_t middle_ns(size_t i)
{
	size_t shift;

	if (i < 2 * BENCH_HISTOGRAM_STEPS)
		return i;
	shift = i / BENCH_HISTOGRAM_STEPS - 1;
	return ((uint64_t)(i - shift * BENCH_HISTOGRAM_STEPS) << shift) + (1ull << shift) / 2;
}

uint64_t bench_histogram_percentile_ns(const struct bench_histogram *histogram,
				       unsigned int per_mille)
{
	uint64_t rank = (histogram->n_total * per_mille + 999) / 1000;
	uint64_t n_seen = 0;

	if (histogram->n_total == 0)
		return 0;
	if (rank == 0)
		rank = 1;
	for (size_t i = 0;; i++) {
		n_seen += histogram->counts[i];
		if (n_seen >= rank)
			return middle_ns(i);
	}
}
