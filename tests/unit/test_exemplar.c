/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars while they are being written: whoever reads one sees all of it, and never an older. */
#include "metrics/slab.h"

#include <pthread.h>
#include <stdlib.h>

#include "metrics/registry.h"
#include "tests/tap.h"

enum { N_READERS = 2, N_WRITES = 200000 };

struct reader {
	pthread_t thread;
	const struct slab *slab;
	const struct series *series;
	size_t n_torn, n_back;
};

static atomic_bool is_done;

static void read_one(struct reader *reader, uint64_t *last)
{
	struct exemplar found[HISTOGRAM_MAX_BUCKETS] = {0};
	size_t bucket = histogram_bucket(reader->series->histogram, 7);
	const struct exemplar *one = &found[bucket];

	slab_read_exemplars(reader->slab, reader->series, found);
	reader->n_torn += one->trace.high != one->unix_msec || one->trace.low != one->unix_msec ||
			  one->value != (one->unix_msec ? 7 : 0);
	reader->n_back += one->unix_msec < *last;
	*last = one->unix_msec;
}

static void *read_on(void *context)
{
	uint64_t last = 0;

	while (!atomic_load(&is_done))
		read_one(context, &last);
	read_one(context, &last);
	return last == N_WRITES ? context : NULL;
}

int main(void)
{
	const struct registry_options options = {
		.max_series = 1000, .max_series_per_family = 100, .exemplars = true};
	const struct str values[] = {STR_LITERAL("m"), STR_LITERAL("a")};
	struct registry *registry = registry_new(&options);
	struct slab *slab = registry ? registry_slab_new(registry) : NULL;
	struct reader readers[N_READERS] = {0};
	const struct series *series;

	if (!slab)
		abort();
	series = registry_series(registry, METRIC_TIME_TO_FIRST_TOKEN, values);
	ok(series->has_exemplars, "the series has exemplars");
	for (size_t i = 0; i < N_READERS; i++) {
		readers[i].slab = slab;
		readers[i].series = series;
		if (pthread_create(&readers[i].thread, NULL, read_on, &readers[i]))
			abort();
	}
	for (uint64_t i = 1; i <= N_WRITES; i++)
		slab_set_exemplar(slab, series, &(struct exemplar){{i, i}, 7, i});
	atomic_store(&is_done, true);
	for (size_t i = 0; i < N_READERS; i++) {
		void *saw_last;

		pthread_join(readers[i].thread, &saw_last);
		ok(saw_last, "the last one is there in the end");
		is_u64(readers[i].n_torn, 0, "none was read in parts");
		is_u64(readers[i].n_back, 0, "none came back");
	}
	registry_free(registry);
	return tap_done();
}
