/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/distribution.h"

void distribution_add(struct distribution *distribution, const struct sample *sample)
{
	distribution->shape = sample->series->histogram;
	distribution->count += sample->count;
	distribution->sum += sample->sum;
	for (size_t i = 0; i < sample->n_buckets; i++)
		distribution->buckets[i] += sample->buckets[i];
}

void distribution_subtract(struct distribution *distribution, const struct distribution *before)
{
	distribution->count -= before->count;
	distribution->sum -= before->sum;
	for (size_t i = 0; i < HISTOGRAM_MAX_BUCKETS; i++)
		distribution->buckets[i] -= before->buckets[i];
}

struct percentiles distribution_percentiles(const struct distribution *distribution)
{
	const struct histogram *shape = distribution->shape;
	const uint64_t *buckets = distribution->buckets;

	if (distribution->count == 0)
		return (struct percentiles){0};
	return (struct percentiles){
		.count = distribution->count,
		.p50 = histogram_quantile(shape, buckets, 500),
		.p95 = histogram_quantile(shape, buckets, 950),
		.p99 = histogram_quantile(shape, buckets, 990),
	};
}
