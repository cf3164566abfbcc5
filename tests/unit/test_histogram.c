/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/histogram.h"

#include <errno.h>

#include "base/hash.h"
#include "metrics/catalog.h"
#include "tests/tap.h"

static size_t expected_bucket(const uint64_t *bounds, size_t n, uint64_t value)
{
	size_t bucket = 0;

	while (bucket < n && value > bounds[bucket])
		bucket++;
	return bucket;
}

static bool agrees(const struct histogram *histogram, const uint64_t *bounds, size_t n,
		   uint64_t value)
{
	return histogram_bucket(histogram, value) == expected_bucket(bounds, n, value);
}

/* Every bound and its neighbours, every power of two and its neighbours, and random values of
 * every magnitude. */
static size_t count_wrong(const struct histogram *histogram, const uint64_t *bounds, size_t n)
{
	struct hash_random random;
	size_t wrong = 0;

	hash_random_init(&random, (struct hash_seed){1, 2});
	for (uint64_t value = 0; value < 300000; value++)
		wrong += !agrees(histogram, bounds, n, value);
	for (size_t i = 0; i < n; i++)
		for (uint64_t value = bounds[i] - 2; value != bounds[i] + 3; value++)
			wrong += !agrees(histogram, bounds, n, value);
	for (unsigned bit = 0; bit < 64; bit++)
		for (int64_t delta = -2; delta <= 2; delta++)
			wrong += !agrees(histogram, bounds, n,
					 ((uint64_t)1 << bit) + (uint64_t)delta);
	for (int i = 0; i < 500000; i++)
		wrong += !agrees(histogram, bounds, n,
				 hash_random_next(&random) >> hash_random_below(&random, 64));
	return wrong;
}

static void test_catalog(void)
{
	for (int source = 0; source < N_SOURCES; source++) {
		uint64_t bounds[CATALOG_MAX_BOUNDS];
		size_t n = catalog_bounds((enum metric_source)source, bounds);
		struct histogram histogram;

		if (n == 0)
			continue;
		is_int(histogram_init(&histogram, bounds, n), 0, "bucket set %d is accepted",
		       source);
		is_u64(count_wrong(&histogram, bounds, n), 0, "every value finds its bucket");
		ok(histogram.n_comparisons <= 2, "in at most two comparisons (%u)",
		   histogram.n_comparisons);
	}
}

static void test_shapes(void)
{
	static const struct {
		const char *name;
		size_t n;
		uint64_t bounds[8];
	} rows[] = {
		{"one bound", 1, {7}},
		{"a bound of 0", 2, {0, 1}},
		{"neighbours", 8, {1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007}},
		{"both ends of a range", 4, {16, 17, 32, 35}},
		{"far apart", 3, {1, (uint64_t)1 << 40, UINT64_MAX - 1}},
		{"small ones", 8, {0, 1, 2, 7, 8, 9, 15, 16}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct histogram histogram;

		is_int(histogram_init(&histogram, rows[i].bounds, rows[i].n), 0, "%s: accepted",
		       rows[i].name);
		is_u64(count_wrong(&histogram, rows[i].bounds, rows[i].n), 0, "%s: right",
		       rows[i].name);
	}
}

static void test_refusals(void)
{
	uint64_t many[HISTOGRAM_MAX_BOUNDS + 1];
	struct histogram histogram;

	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		many[i] = 10 * i;
	is_int(histogram_init(&histogram, many, HISTOGRAM_MAX_BOUNDS), 0, "the most bounds");
	is_u64(count_wrong(&histogram, many, HISTOGRAM_MAX_BOUNDS), 0, "are all found");
	is_int(histogram_init(&histogram, many, HISTOGRAM_MAX_BOUNDS + 1), -EINVAL,
	       "one more is refused");
	is_int(histogram_init(&histogram, many, 0), -EINVAL, "none is refused");
	is_int(histogram_init(&histogram, (uint64_t[]){1, 1}, 2), -EINVAL, "equal ones");
	is_int(histogram_init(&histogram, (uint64_t[]){2, 1}, 2), -EINVAL, "descending ones");
	is_int(histogram_init(&histogram, (uint64_t[]){1, UINT64_MAX}, 2), -EINVAL,
	       "a bound that nothing exceeds");
}

/* The same as Prometheus' histogram_quantile(). */
static void test_quantiles(void)
{
	static const uint64_t bounds[] = {100, 200, 400};
	static const struct {
		uint64_t buckets[4];
		unsigned permille;
		uint64_t wanted;
		const char *name;
	} rows[] = {
		{{0, 0, 0, 0}, 500, 0, "no observation"},
		{{4, 0, 0, 0}, 500, 50, "the middle of the first bucket"},
		{{0, 4, 0, 0}, 500, 150, "the middle of the second"},
		{{1, 1, 2, 0}, 500, 200, "on a bound"},
		{{1, 1, 2, 0}, 990, 396, "near the end"},
		{{0, 0, 0, 3}, 500, 400, "above all bounds: the last of them"},
		{{50, 0, 0, 50}, 950, 400, "the tail above all bounds"},
		{{1, 0, 0, 0}, 1000, 100, "all of them"},
	};
	struct histogram histogram;

	is_int(histogram_init(&histogram, bounds, 3), 0, "three bounds");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		is_u64(histogram_quantile(&histogram, rows[i].buckets, rows[i].permille),
		       rows[i].wanted, "%s", rows[i].name);
}

int main(void)
{
	test_quantiles();
	test_catalog();
	test_shapes();
	test_refusals();
	return tap_done();
}
