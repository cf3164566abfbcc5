/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latencies in nanoseconds: 128 linear steps in each power of two, so that a percentile is wrong by
 * 0.4 % at most, from 1 ns to a minute. Embedded in its owner, no allocation, single-threaded.
 */
#pragma once

#include <stdint.h>

#define BENCH_HISTOGRAM_STEPS   128
#define BENCH_HISTOGRAM_OCTAVES 30

struct bench_histogram {
	uint64_t n_total;
	uint64_t counts[BENCH_HISTOGRAM_STEPS * BENCH_HISTOGRAM_OCTAVES];
};

/* Values beyond the last step are counted in it. */
void bench_histogram_record(struct bench_histogram *histogram, uint64_t value_ns);
/* The value below which `per_mille` (0..1000) of a thousand samples lie; 0 without samples. */
uint64_t bench_histogram_percentile_ns(const struct bench_histogram *histogram,
				       unsigned int per_mille);
