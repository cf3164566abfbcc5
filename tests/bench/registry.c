/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What recording and rendering cost, beside a shared atomic and a mutex: medians over interleaved
 * rounds, in nanoseconds, for one and for two threads. A person reads it; nothing is judged.
 * With an argument: so many rounds instead of 15.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "export/openmetrics.h"
#include "metrics/registry.h"
#include "tests/recording.h"

enum { MAX_ROUNDS = 101, MAX_THREADS = 2, N_SERIES = 1024, N_VALUES = 4096 };

struct names {
	char model[48], backend[24];
	struct str values[3];
};

static struct {
	struct registry *registry;
	struct slab *slabs[MAX_THREADS];
	const struct series *counters[N_SERIES], *histograms[N_SERIES];
	struct names names[N_SERIES];
	struct recording recordings[MAX_THREADS];
	uint64_t values[N_VALUES]; /* durations with a long tail, ns */
	uint16_t order[N_VALUES];  /* of series, random */
} bench;

static struct {
	_Alignas(128) _Atomic uint64_t counter;
	_Alignas(128) pthread_mutex_t mutex;
	uint64_t buckets[16], sum;
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static uint64_t value_at(uint64_t i)
{
	return bench.values[i % N_VALUES];
}

static size_t series_at(uint64_t i)
{
	return bench.order[i % N_VALUES];
}

static void counter_hot(unsigned thread, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		slab_add(bench.slabs[thread], bench.counters[0], 1);
}

static void counter_cold(unsigned thread, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		slab_add(bench.slabs[thread], bench.counters[series_at(i)], 1);
}

static void histogram_hot(unsigned thread, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		slab_observe(bench.slabs[thread], bench.histograms[0], value_at(i));
}

static void histogram_cold(unsigned thread, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		slab_observe(bench.slabs[thread], bench.histograms[series_at(i)], value_at(i));
}

static void shared_counter(unsigned thread, uint64_t n)
{
	(void)thread;
	for (uint64_t i = 0; i < n; i++)
		atomic_fetch_add_explicit(&shared.counter, 1, memory_order_relaxed);
}

static void mutex_histogram(unsigned thread, uint64_t n)
{
	const struct histogram *shape = bench.histograms[0]->histogram;

	(void)thread;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t value = value_at(i);

		pthread_mutex_lock(&shared.mutex);
		shared.buckets[histogram_bucket(shape, value)]++;
		shared.sum += value;
		pthread_mutex_unlock(&shared.mutex);
	}
}

static void lookup(unsigned thread, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		const struct names *names = &bench.names[series_at(i)];

		slab_add(bench.slabs[thread],
			 registry_series(bench.registry, METRIC_REQUESTS, names->values), 1);
	}
}

static void lookup_hot(unsigned thread, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		slab_add(bench.slabs[thread],
			 registry_series(bench.registry, METRIC_REQUESTS, bench.names[7].values),
			 1);
}

static void clock_read(unsigned thread, uint64_t n)
{
	uint64_t sum = 0;

	(void)thread;
	for (uint64_t i = 0; i < n; i++)
		sum += clock_monotonic_ns();
	atomic_store_explicit(&shared.counter, sum, memory_order_relaxed);
}

static void whole_request(unsigned thread, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		recording_run(&bench.recordings[thread], 200);
}

struct row {
	const char *what;
	void (*run)(unsigned thread, uint64_t n);
	uint64_t n;
	double rounds[MAX_THREADS][MAX_ROUNDS];
};

static struct row rows[] = {
	{.what = "counter, one series", .run = counter_hot, .n = 2000000},
	{.what = "counter, 1024 series at random", .run = counter_cold, .n = 2000000},
	{.what = "histogram, one series", .run = histogram_hot, .n = 2000000},
	{.what = "histogram, 1024 series at random", .run = histogram_cold, .n = 1000000},
	{.what = "  beside it: one shared atomic", .run = shared_counter, .n = 1000000},
	{.what = "  beside it: histogram and mutex", .run = mutex_histogram, .n = 200000},
	{.what = "lookup by 3 labels, one series", .run = lookup_hot, .n = 300000},
	{.what = "lookup by 3 labels, 1024 at random", .run = lookup, .n = 300000},
	{.what = "one read of the clock", .run = clock_read, .n = 300000},
	{.what = "a whole request, 5 clock reads", .run = whole_request, .n = 100000},
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

struct runner {
	const struct row *row;
	unsigned number;
	pthread_barrier_t *barrier;
	pthread_t thread;
	double ns;
};

static void *run(void *context)
{
	struct runner *runner = context;
	cpu_set_t cpus;
	uint64_t begin;

	CPU_ZERO(&cpus);
	CPU_SET(runner->number, &cpus);
	/* Where it may not choose its processor the figures are merely less steady. */
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
	runner->row->run(runner->number, runner->row->n / 20);
	pthread_barrier_wait(runner->barrier);
	begin = clock_monotonic_ns();
	runner->row->run(runner->number, runner->row->n);
	runner->ns = (double)(clock_monotonic_ns() - begin) / (double)runner->row->n;
	return NULL;
}

static double measure(const struct row *row, unsigned n_threads)
{
	struct runner runners[MAX_THREADS];
	pthread_barrier_t barrier;
	double ns = 0;

	pthread_barrier_init(&barrier, NULL, n_threads);
	for (unsigned i = 0; i < n_threads; i++) {
		runners[i] = (struct runner){.row = row, .number = i, .barrier = &barrier};
		if (pthread_create(&runners[i].thread, NULL, run, &runners[i]))
			abort();
	}
	for (unsigned i = 0; i < n_threads; i++) {
		pthread_join(runners[i].thread, NULL);
		ns += runners[i].ns / n_threads;
	}
	pthread_barrier_destroy(&barrier);
	return ns;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

static void fill_values(void)
{
	struct hash_random random;

	hash_random_init(&random, (struct hash_seed){1, 2});
	for (size_t i = 0; i < N_VALUES; i++) {
		/* A tenth of a second times a product of factors: about as skewed as latencies. */
		uint64_t value = 100 * NS_PER_MSEC;

		for (int factor = 0; factor < 12; factor++)
			value = value * (70 + hash_random_below(&random, 90)) / 100;
		bench.values[i] = value;
		bench.order[i] = (uint16_t)hash_random_below(&random, N_SERIES);
	}
}

static void name_series(size_t i)
{
	struct names *names = &bench.names[i];

	snprintf(names->model, sizeof(names->model), "llama3.1:70b-instruct-q4_K_%zu", i / 8);
	snprintf(names->backend, sizeof(names->backend), "ollama-local-%zu", i % 8);
	names->values[0] = str_of(names->model);
	names->values[1] = str_of(names->backend);
	names->values[2] = STR_LITERAL("200");
	bench.counters[i] = registry_series(bench.registry, METRIC_REQUESTS, names->values);
	bench.histograms[i] =
		registry_series(bench.registry, METRIC_REQUEST_DURATION, names->values);
}

static void set_up(void)
{
	const struct registry_options options = {.max_series = 50000,
						 .max_series_per_family = 20000};

	bench.registry = registry_new(&options);
	if (!bench.registry)
		abort();
	for (size_t i = 0; i < MAX_THREADS; i++) {
		bench.slabs[i] = registry_slab_new(bench.registry);
		if (!bench.slabs[i])
			abort();
	}
	fill_values();
	for (size_t i = 0; i < N_SERIES; i++)
		name_series(i);
	for (size_t i = 0; i < MAX_THREADS; i++)
		recording_init(&bench.recordings[i], bench.registry, "llama3.1:70b", "gpu-1");
}

static size_t count_lines(const struct buf *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += text->data[i] == '\n';
	return n;
}

/* The registry of the other rows: 1024 counters, 1024 histograms, two slabs and its own. */
static void render(size_t n_rounds, size_t want_lines)
{
	double us[MAX_ROUNDS];
	struct registry *registry;
	const struct registry_options options = {.max_series = 50000,
						 .max_series_per_family = 20000};
	struct slab *slabs[MAX_THREADS];
	struct buf out;
	size_t lines;

	registry = registry_new(&options);
	buf_init(&out, (size_t)1 << 26);
	for (size_t i = 0; registry && i < MAX_THREADS; i++)
		slabs[i] = registry_slab_new(registry);
	for (size_t i = 0; registry && i < want_lines / 14; i++) {
		const struct series *series = registry_series(registry, METRIC_REQUEST_DURATION,
							      bench.names[i % N_SERIES].values);

		for (size_t j = 0; j < 400; j++)
			slab_observe(slabs[j % MAX_THREADS], series, value_at(i + j));
	}
	for (size_t i = 0; i < n_rounds; i++) {
		const struct openmetrics_options format = {.format = EXPOSITION_CLASSIC};
		uint64_t begin;

		buf_clear(&out);
		begin = clock_monotonic_ns();
		if (openmetrics_render(registry, &format, &out) < 0)
			abort();
		us[i] = (double)(clock_monotonic_ns() - begin) / 1000;
	}
	lines = count_lines(&out);
	printf("%-40s %9.0f us for %zu lines, %zu bytes: %.1f ns a line\n", "rendering",
	       median(us, n_rounds), lines, out.len, 1000 * us[n_rounds / 2] / (double)lines);
	buf_done(&out);
	registry_free(registry);
}

int main(int argc, char **argv)
{
	size_t n_rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 15;
	unsigned n_threads = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;

	if (n_rounds == 0 || n_rounds > MAX_ROUNDS)
		n_rounds = 15;
	set_up();
	for (size_t round = 0; round < n_rounds; round++)
		for (size_t i = 0; i < N_ROWS; i++)
			for (unsigned threads = 1; threads <= n_threads; threads++)
				rows[i].rounds[threads - 1][round] = measure(&rows[i], threads);
	printf("%-40s %12s %12s\n", "ns per operation, median", "1 thread", "2 threads");
	for (size_t i = 0; i < N_ROWS; i++) {
		printf("%-40s %12.2f", rows[i].what, median(rows[i].rounds[0], n_rounds));
		if (n_threads > 1)
			printf(" %12.2f", median(rows[i].rounds[1], n_rounds));
		putchar('\n');
	}
	render(n_rounds, 10000);
	registry_free(bench.registry);
	return 0;
}
