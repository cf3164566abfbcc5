/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/bundle.h"

#include <pthread.h>
#include <stdlib.h>

#include "metrics/snapshot.h"
#include "tests/tap.h"

#define S(text) STR_LITERAL(text)

static struct registry *registry_or_die(size_t max_series)
{
	const struct registry_options options = {.max_series = max_series,
						 .max_series_per_family = max_series};
	struct registry *registry = registry_new(&options);

	if (!registry)
		abort();
	return registry;
}

struct tally {
	size_t requests, durations, tokens, others;
};

static void tally_sample(void *context, const struct sample *sample)
{
	struct tally *tally = context;

	switch (sample->metric) {
	case METRIC_REQUESTS:
		tally->requests++;
		break;
	case METRIC_REQUEST_DURATION:
		tally->durations++;
		break;
	case METRIC_TOKENS:
		tally->tokens++;
		break;
	default:
		tally->others += sample->metric != METRIC_METRIC_OVERFLOW &&
				 sample->series != NULL && metric_row(sample->metric)->n_labels > 0;
		break;
	}
}

static struct tally tally_of(struct registry *registry)
{
	struct tally tally = {0};
	const struct snapshot_visitor visitor = {.sample = tally_sample, .context = &tally};

	if (snapshot_visit(registry, &visitor) < 0)
		abort();
	return tally;
}

static void test_birth(void)
{
	struct registry *registry = registry_or_die(1000);
	struct bundle *bundle = need(bundle_find(registry, S("m"), S("b")));
	struct tally tally;

	ok(bundle && bundle_find(registry, S("m"), S("b")) == bundle, "a pair has one bundle");
	ok(bundle_find(registry, S("mb"), S("")) != bundle, "other pairs have others");
	ok(bundle_find(registry, S(""), S("mb")) != bundle_find(registry, S("mb"), S("")),
	   "where the names part matters");
	tally = tally_of(registry);
	is_u64(tally.requests + tally.durations + tally.tokens, 0, "nothing is born yet");
	bundle_birth(bundle);
	bundle_birth(bundle);
	tally = tally_of(registry);
	is_u64(tally.requests, 1, "one status");
	is_u64(tally.durations, 1, "the duration");
	is_u64(tally.tokens, 2, "both types of tokens");
	is_u64(tally.others, 5, "three times of streams and two sums of tokens");
	registry_free(registry);
}

/* What a bundle gives is what the registry gives for the same names. */
static void test_series(void)
{
	struct registry *registry = registry_or_die(5000);
	struct bundle *bundle = need(bundle_find(registry, S("m"), S("b")));
	struct str values[] = {S("m"), S("b"), S("")};
	size_t wrong = 0;

	for (unsigned status = 100; status < 600; status++) {
		const struct series *series = bundle_requests(bundle, status);
		char text[8];

		snprintf(text, sizeof(text), "%u", status);
		values[2] = str_of(text);
		wrong += series != registry_series(registry, METRIC_REQUESTS, values);
		wrong += series != bundle_requests(bundle, status);
	}
	is_u64(wrong, 0, "every status has its own series");
	is_u64(tally_of(registry).requests, 500, "500 of them");
	ok(bundle_series(bundle, BUNDLE_DURATION) ==
		   registry_series(registry, METRIC_REQUEST_DURATION, values),
	   "duration");
	ok(bundle_series(bundle, BUNDLE_USAGE_MISSING) ==
		   registry_series(registry, METRIC_USAGE_MISSING, values),
	   "usage missing");
	values[2] = S("prompt");
	ok(bundle_series(bundle, BUNDLE_TOKENS_PROMPT) ==
		   registry_series(registry, METRIC_TOKENS, values),
	   "prompt tokens");
	values[2] = S("completion");
	ok(bundle_series(bundle, BUNDLE_TOKENS_COMPLETION) ==
		   registry_series(registry, METRIC_TOKENS, values),
	   "completion tokens");
	values[2] = S("cancelled");
	ok(bundle_upstream_requests(bundle, OUTCOME_CANCELLED) ==
		   registry_series(registry, METRIC_UPSTREAM_REQUESTS, values),
	   "upstream requests");
	registry_free(registry);
}

static void test_budget(void)
{
	struct registry *registry = registry_or_die(2);
	struct bundle *a = need(bundle_find(registry, S("a"), S("b")));
	struct bundle *c = need(bundle_find(registry, S("c"), S("b")));
	struct bundle *d = need(bundle_find(registry, S("d"), S("b")));

	ok(a && c && d && a != c && c != d, "bundles within the budget");
	ok(bundle_find(registry, S("e"), S("b")) == d, "all beyond it are one");
	ok(bundle_find(registry, S("a"), S("b")) == a, "those within stay");
	ok(bundle_requests(d, 200) != NULL, "it has series, too");
	bundle_unref(a);
	ok(bundle_find(registry, S("f"), S("b")) == d, "a pair that is held twice is there yet");
	bundle_unref(a);
	ok(bundle_find(registry, S("f"), S("b")) != d, "one that nobody holds makes room");
	registry_free(registry);
}

enum { N_THREADS = 4, N_PAIRS = 200 };

struct worker {
	struct registry *registry;
	struct slab *slab;
	pthread_t thread;
};

static void *use(void *context)
{
	struct worker *worker = context;

	for (unsigned i = 0; i < N_PAIRS; i++) {
		char model[16];
		struct bundle *bundle;

		snprintf(model, sizeof(model), "m%u", i);
		bundle = bundle_find(worker->registry, str_of(model), S("b"));
		slab_add(worker->slab, bundle_requests(bundle, 200), 1);
		slab_add(worker->slab, bundle_requests(bundle, 418), 1);
		slab_observe(worker->slab, bundle_series(bundle, BUNDLE_DURATION), i);
		slab_observe(worker->slab, bundle_series(bundle, BUNDLE_TOKENS_PROMPT), i);
	}
	return NULL;
}

struct sums {
	int64_t requests;
	uint64_t observations;
};

static void add_sample(void *context, const struct sample *sample)
{
	struct sums *sums = context;

	if (sample->metric == METRIC_REQUESTS)
		sums->requests += sample->value;
	sums->observations += sample->count;
}

static void test_threads(void)
{
	struct registry *registry = registry_or_die(5000);
	struct worker workers[N_THREADS];
	struct sums sums = {0};
	const struct snapshot_visitor visitor = {.sample = add_sample, .context = &sums};

	for (size_t i = 0; i < N_THREADS; i++) {
		workers[i] =
			(struct worker){.registry = registry, .slab = registry_slab_new(registry)};
		if (!workers[i].slab || pthread_create(&workers[i].thread, NULL, use, &workers[i]))
			abort();
	}
	for (size_t i = 0; i < N_THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	is_int(snapshot_visit(registry, &visitor), 0, "snapshot");
	is_int(sums.requests, 2 * N_THREADS * N_PAIRS, "no request is lost");
	is_u64(sums.observations, 2 * N_THREADS * N_PAIRS, "no observation is lost");
	registry_free(registry);
}

int main(void)
{
	test_birth();
	test_series();
	test_budget();
	test_threads();
	return tap_done();
}
