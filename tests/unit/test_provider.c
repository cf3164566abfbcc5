/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/provider.h"

#include <stdlib.h>

#include "metrics/snapshot.h"
#include "tests/tap.h"

static const struct registry_options roomy = {.max_series = 50000, .max_series_per_family = 20000};

static struct registry *registry_or_die(const struct registry_options *options)
{
	struct registry *registry = registry_new(options);

	if (!registry)
		abort();
	return registry;
}

/* What a snapshot says of one label text of one family. */
struct question {
	enum metric metric;
	struct str labels;
	size_t n_found;
	int64_t value;
};

static void on_sample(void *context, const struct sample *sample)
{
	struct question *question = context;

	if (sample->metric != question->metric || !str_eq(sample->labels, question->labels))
		return;
	question->n_found++;
	question->value += sample->value;
}

static struct question ask(struct registry *registry, enum metric metric, const char *labels,
			   bool merged)
{
	struct question question = {.metric = metric, .labels = str_of(labels)};
	const struct snapshot_visitor visitor = {
		.sample = on_sample, .context = &question, .merged = merged};

	if (snapshot_visit(registry, &visitor) < 0)
		abort();
	return question;
}

static size_t count_of(struct registry *registry, enum metric metric, const char *labels,
		       bool merged)
{
	return ask(registry, metric, labels, merged).n_found;
}

static int64_t value_of(struct registry *registry, enum metric metric, const char *labels)
{
	return ask(registry, metric, labels, true).value;
}

static void collect(void *context, provider_emit_fn *emit, void *emitter)
{
	const char *const *name = context;

	for (; *name; name++)
		emit(emitter, (struct str[]){str_of(*name)}, 1 + (int64_t)strlen(*name));
}

static void collect_infos(void *context, provider_emit_fn *emit, void *emitter)
{
	const char *const *name = context;

	for (; *name; name++)
		emit(emitter, (struct str[]){str_of(*name), str_of(*name)}, 1);
}

static void test_providers(void)
{
	const char *names[] = {"b-1", "b_1", "b.1", "long-name", NULL};
	struct registry *registry = registry_or_die(&roomy);
	const char *info = "model=\"b_1\",name=\"b_1\"";

	is_int(registry_provide(registry, METRIC_PENDING_REQUESTS, collect, names), 0, "provide");
	is_int(registry_provide(registry, METRIC_MODEL_INFO, collect_infos, names), 0, "provide");
	is_int(value_of(registry, METRIC_PENDING_REQUESTS, "backend=\"b_1\""), 12,
	       "equal texts are added up");
	is_u64(count_of(registry, METRIC_PENDING_REQUESTS, "backend=\"b_1\"", false), 3,
	       "or stand alone, unmerged");
	is_int(value_of(registry, METRIC_PENDING_REQUESTS, "backend=\"long_name\""), 10, "another");
	is_int(value_of(registry, METRIC_MODEL_INFO, info), 1, "an info is 1");
	names[0] = NULL;
	is_u64(count_of(registry, METRIC_PENDING_REQUESTS, "backend=\"b_1\"", true), 0,
	       "what is gone is gone");
	registry_free(registry);
}

static void test_provider_budget(void)
{
	const char *names[] = {"a", "b", "cc", "dd", "ee", NULL};
	const struct registry_options options = {.max_series = 1000, .max_series_per_family = 2};
	const struct registry_options less = {.max_series = 1, .max_series_per_family = 2};
	struct registry *registry = registry_or_die(&options);

	is_int(registry_provide(registry, METRIC_PENDING_REQUESTS, collect, names), 0, "provide");
	is_int(registry_provide(registry, METRIC_MODEL_INFO, collect_infos, names), 0, "provide");
	is_int(value_of(registry, METRIC_METRIC_OVERFLOW, "metric=\"nexus_model_info\""), 3,
	       "what is refused is counted");
	for (int merged = 0; merged < 2; merged++)
		is_u64(count_of(registry, METRIC_PENDING_REQUESTS, "backend=\"b\"", merged), 1,
		       "what comes first has its own");
	is_u64(count_of(registry, METRIC_PENDING_REQUESTS, "backend=\"_other\"", false), 1,
	       "the rest shares one, merged or not");
	is_int(value_of(registry, METRIC_PENDING_REQUESTS, "backend=\"_other\""), 9, "their sum");
	is_int(value_of(registry, METRIC_MODEL_INFO, "model=\"_other\",name=\"_other\""), 1,
	       "of infos there is no sum");
	ok(value_of(registry, METRIC_METRIC_OVERFLOW, "metric=\"nexus_pending_requests\"") >= 3,
	   "for each family by itself");
	registry_free(registry);

	registry = registry_or_die(&less);
	is_int(registry_provide(registry, METRIC_PENDING_REQUESTS, collect, names), 0, "provide");
	is_int(value_of(registry, METRIC_PENDING_REQUESTS, "backend=\"_other\""), 11,
	       "nor more than metrics.max_series");
	registry_free(registry);
}

int main(void)
{
	test_providers();
	test_provider_budget();
	return tap_done();
}
