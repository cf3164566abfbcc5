/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/histogram.h"

#include <errno.h>
#include <stdbool.h>

static uint64_t lowest_of_range(size_t range)
{
	/* The inverse of histogram_range(); 16..23 and 8 * k + 8..15 are what it gives. */
	if (range < 16)
		return range;
	return (8 + (uint64_t)range % 8) << (range / 8 - 1);
}

static size_t count_below(const uint64_t *bounds, size_t n, uint64_t value)
{
	size_t below = 0;

	while (below < n && bounds[below] < value)
		below++;
	return below;
}

static bool finds(const struct histogram *histogram, uint64_t value)
{
	return histogram_bucket(histogram, value) ==
	       count_below(histogram->bounds, histogram->n_bounds, value);
}

static bool is_exact(const struct histogram *histogram)
{
	for (size_t i = 0; i < histogram->n_bounds; i++)
		if (!finds(histogram, histogram->bounds[i]) ||
		    !finds(histogram, histogram->bounds[i] + 1))
			return false;
	for (size_t range = 0; range < HISTOGRAM_RANGES; range++)
		if (!finds(histogram, lowest_of_range(range)))
			return false;
	return finds(histogram, UINT64_MAX);
}

int histogram_init(struct histogram *histogram, const uint64_t *bounds, size_t n)
{
	if (n == 0 || n > HISTOGRAM_MAX_BOUNDS || bounds[n - 1] == UINT64_MAX)
		return -EINVAL;
	for (size_t i = 1; i < n; i++)
		if (bounds[i] <= bounds[i - 1])
			return -EINVAL;
	*histogram = (struct histogram){.n_bounds = n};
	for (size_t i = 0; i < HISTOGRAM_MAX_BUCKETS; i++)
		histogram->bounds[i] = i < n ? bounds[i] : UINT64_MAX;
	for (size_t range = 0; range < HISTOGRAM_RANGES; range++) {
		uint64_t lowest = lowest_of_range(range);
		uint64_t highest =
			range + 1 < HISTOGRAM_RANGES ? lowest_of_range(range + 1) - 1 : UINT64_MAX;
		size_t first = count_below(bounds, n, lowest);
		unsigned inside = (unsigned)(count_below(bounds, n, highest) - first);

		histogram->first[range] = (uint8_t)first;
		if (histogram->n_comparisons < inside)
			histogram->n_comparisons = inside;
	}
	return is_exact(histogram) ? 0 : -EINVAL;
}

uint64_t histogram_quantile(const struct histogram *histogram, const uint64_t *buckets,
			    unsigned permille)
{
	size_t n = histogram->n_bounds;
	double count = 0, rank, below = 0;

	for (size_t i = 0; i <= n; i++)
		count += (double)buckets[i];
	rank = count * permille / 1000;
	for (size_t i = 0; i < n && count > 0; i++) {
		double here = (double)buckets[i];

		if (below + here >= rank && here > 0) {
			uint64_t low = i ? histogram->bounds[i - 1] : 0;
			double share = (rank - below) / here;

			return low + (uint64_t)(share * (double)(histogram->bounds[i] - low));
		}
		below += here;
	}
	return count > 0 ? histogram->bounds[n - 1] : 0;
}
