/* SPDX-License-Identifier: Apache-2.0 */
/* 10^8 increments by 4 threads, read all the while: none is lost, none seen twice, none goes back.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "metrics/registry.h"
#include "metrics/snapshot.h"
#include "tests/tap.h"

enum { N_WRITERS = 4, N_READERS = 2, N_COUNTERS = 8, N_INCREMENTS = 100000000 / N_WRITERS };

static struct {
	struct registry *registry;
	const struct series *counters[N_COUNTERS], *histogram;
	pthread_barrier_t begin;
	_Atomic unsigned n_writing;
} test;

struct reading {
	uint64_t requests, observations, sum; /* of the snapshot being taken */
	uint64_t last_requests, last_observations;
	uint64_t n_snapshots, n_wrong;
};

static void *increment(void *context)
{
	struct slab *slab = context;

	pthread_barrier_wait(&test.begin);
	for (unsigned i = 0; i < N_INCREMENTS; i++) {
		slab_add(slab, test.counters[i % N_COUNTERS], 1);
		if (i % 16 == 0)
			slab_observe(slab, test.histogram, 3);
	}
	atomic_fetch_sub(&test.n_writing, 1);
	return NULL;
}

static void take_sample(void *context, const struct sample *sample)
{
	struct reading *reading = context;

	if (sample->metric == METRIC_REQUESTS)
		reading->requests += (uint64_t)sample->value;
	if (sample->metric == METRIC_EVENT_LOOP_LAG) {
		reading->observations = sample->count;
		reading->sum = sample->sum;
	}
}

static void take_snapshot(struct reading *reading)
{
	const struct snapshot_visitor visitor = {.sample = take_sample, .context = reading};

	reading->requests = 0;
	if (snapshot_visit(test.registry, &visitor) < 0)
		abort();
	reading->n_snapshots++;
	reading->n_wrong += reading->sum != 3 * reading->observations ||
			    reading->requests < reading->last_requests ||
			    reading->observations < reading->last_observations;
	reading->last_requests = reading->requests;
	reading->last_observations = reading->observations;
}

static void *read_on(void *context)
{
	pthread_barrier_wait(&test.begin);
	while (atomic_load(&test.n_writing) > 0)
		take_snapshot(context);
	return NULL;
}

static void set_up(void)
{
	const struct registry_options options = {.max_series = 1000, .max_series_per_family = 100};
	char name[] = "model-0";

	test.registry = registry_new(&options);
	if (!test.registry)
		abort();
	for (size_t i = 0; i < N_COUNTERS; i++) {
		name[6] = (char)('0' + i);
		test.counters[i] = registry_series(
			test.registry, METRIC_REQUESTS,
			(struct str[]){str_of(name), STR_LITERAL("b"), STR_LITERAL("200")});
	}
	test.histogram = registry_series(test.registry, METRIC_EVENT_LOOP_LAG, NULL);
	test.n_writing = N_WRITERS;
	pthread_barrier_init(&test.begin, NULL, N_WRITERS + N_READERS);
}

static void run(struct reading *readings)
{
	pthread_t threads[N_WRITERS + N_READERS];
	size_t n = 0;

	for (size_t i = 0; i < N_WRITERS; i++) {
		struct slab *slab = registry_slab_new(test.registry);

		if (!slab || pthread_create(&threads[n++], NULL, increment, slab))
			abort();
	}
	for (size_t i = 0; i < N_READERS; i++)
		if (pthread_create(&threads[n++], NULL, read_on, &readings[i]))
			abort();
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	struct reading readings[N_READERS] = {0}, last = {0};

	set_up();
	run(readings);
	for (size_t i = 0; i < N_READERS; i++)
		is_u64(readings[i].n_wrong, 0, "%llu snapshots meanwhile are sound",
		       (unsigned long long)readings[i].n_snapshots);
	take_snapshot(&last);
	is_u64(last.requests, (uint64_t)N_INCREMENTS * N_WRITERS, "every increment is there");
	is_u64(last.observations, (uint64_t)N_INCREMENTS / 16 * N_WRITERS, "every observation");
	is_u64(last.sum, 3 * last.observations, "and its value");
	registry_free(test.registry);
	return tap_done();
}
