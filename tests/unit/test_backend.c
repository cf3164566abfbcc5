/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/backends.h"

#include <pthread.h>
#include <stdlib.h>

#include "tap.h"

static struct backend_model *make_models(const char *const *ids, size_t n)
{
	static struct backend_model *models; /* so that it is not lost when there is no memory */

	models = calloc(n + 1, sizeof(*models));
	for (size_t i = 0; models && i < n; i++)
		if (!(models[i].id = strdup(ids[i])))
			abort();
	if (!models)
		abort();
	return models;
}

static void test_average(void)
{
	static const struct {
		uint64_t sample, average;
	} steps[] = {
		{1000, 1000}, /* the first one sets */
		{2000, 1200}, /* (2000 + 4 * 1000) / 5 */
		{1200, 1200}, {0, 960}, {UINT64_MAX, (UINT32_MAX + 4ull * 960) / 5},
	};
	struct backend *backend = need(backend_new(STR_LITERAL("a")));

	is_u64(atomic_load(&backend->ema_usec), 0, "there is no average at first");
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		backend_observe_latency(backend, steps[i].sample);
		is_u64(atomic_load(&backend->ema_usec), steps[i].average,
		       "average after sample %zu", i);
	}
	backend_unref(backend);

	backend = need(backend_new(STR_LITERAL("a")));
	backend_observe_latency(backend, 0);
	is_u64(atomic_load(&backend->ema_usec), 1, "an answer in no time still counts as one");
	backend_unref(backend);
}

static void *observe(void *context)
{
	for (int i = 0; i < 10000; i++)
		backend_observe_latency(context, 500);
	return backend_unref(context);
}

static void test_threads(void)
{
	struct backend *backend = need(backend_new(STR_LITERAL("a")));
	pthread_t threads[3];
	size_t n = 0;

	while (n < ARRAY_SIZE(threads) &&
	       pthread_create(&threads[n], NULL, observe, backend_ref(backend)) == 0)
		n++;
	is_u64(n, ARRAY_SIZE(threads), "threads are running");
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	is_u64(atomic_load(&backend->ema_usec), 500, "threads average together");
	is_int(atomic_load(&backend->references), 1, "each gave its reference back");
	ok(backend_unref(backend) == NULL, "the last reference returns NULL");
	ok(backend_unref(NULL) == NULL, "NULL is accepted");
}

static void test_models(void)
{
	static const char *const first[] = {"b", "a", "b"};
	static const char *const same[] = {"a", "b"};
	struct backend *backend = need(backend_new(STR_LITERAL("a")));
	struct backend_model *models;

	ok(!backend_set_models(backend, NULL, 0), "none to none is no change");
	ok(backend_set_models(backend, make_models(first, 3), 3), "a first list is a change");
	is_u64(backend->n_models, 2, "an id given twice counts once");
	is_text(backend->models[0].id, "a", "ids are sorted");
	is_text(backend->models[1].id, "b", "ids are sorted to the end");
	is_u64(backend->models_generation, 1, "the change was counted");
	ok(!backend_set_models(backend, make_models(same, 2), 2), "the same list is no change");
	is_u64(backend->models_generation, 1, "which is not counted");

	models = make_models(same, 2);
	models[1].context_length = 4096;
	ok(backend_set_models(backend, models, 2), "another context length is a change");
	models = make_models(same, 2);
	models[1].context_length = 4096;
	models[0].tools = TRISTATE_NO;
	ok(backend_set_models(backend, models, 2), "another capability is a change");
	ok(backend_set_models(backend, make_models(same, 1), 1), "a shorter list is a change");
	ok(backend_set_models(backend, NULL, 0), "an empty list is a change");
	is_u64(backend->models_generation, 5, "all changes were counted");
	backend_unref(backend);
}

static void test_list(void)
{
	static const char *const names[] = {"m", "b", "z", "a", "ab", "q", "c", "d", "e", "f"};
	struct backend_config kept[] = {
		{.name = (char[]){"q"}}, {.name = (char[]){"new"}}, {.name = (char[]){"a"}}};
	const struct config config = {.backends = kept, .n_backends = ARRAY_SIZE(kept)};
	struct backends *backends = need(backends_new());
	struct backend *q, *other, *gone;
	size_t n_found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!backends_obtain(backends, str_of(names[i])))
			break;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct backend *backend = backends_find(backends, str_of(names[i]));

		n_found += backend && strcmp(backend->name, names[i]) == 0;
	}
	is_u64(n_found, ARRAY_SIZE(names), "every backend is found by its name");
	ok(!backends_find(backends, STR_LITERAL("ac")), "an absent one is not");
	ok(!backends_find(backends, STR_LITERAL("")), "nor one without a name");
	q = backends_find(backends, STR_LITERAL("q"));
	ok(backends_obtain(backends, STR_LITERAL("q")) == q, "a name is one backend");
	other = need(backend_new(STR_LITERAL("q")));
	ok(backends_put(backends, other) == 0 && backends_find(backends, STR_LITERAL("q")) == other,
	   "until another one is put in its place");
	q = other;

	gone = backend_ref(need(backends_find(backends, STR_LITERAL("z"))));
	backends_keep_only(backends, &config);
	ok(backends_find(backends, STR_LITERAL("q")) == q, "what is configured stays");
	ok(backends_find(backends, STR_LITERAL("a")) != NULL, "all of it");
	ok(!backends_find(backends, STR_LITERAL("m")), "the rest goes");
	ok(!backends_find(backends, STR_LITERAL("new")), "nothing is made");
	is_text(gone->name, "z", "a backend lives on while somebody names it");
	backends_keep_only(backends, &config);
	ok(backends_find(backends, STR_LITERAL("q")) == q,
	   "keeping the same again changes nothing");
	backend_unref(gone);
	ok(backends_free(backends) == NULL, "freeing returns NULL");
	ok(backends_free(NULL) == NULL, "and accepts it");
}

static void test_drain(void)
{
	struct backend *backend = need(backend_new(STR_LITERAL("gpu@2")));

	ok(!backend_is_draining(backend) && !backend_undrain(backend), "nobody drains at first");
	ok(backend_drain(backend, BACKEND_DRAIN_ADDRESS) &&
		   !backend_drain(backend, BACKEND_DRAIN_ADDRESS) && backend_is_draining(backend),
	   "once");
	ok(!backend_drain(backend, BACKEND_DRAIN_NAME), "it drains, for whatever reason");
	is_u64(atomic_load(&backend->drain), BACKEND_DRAIN_ADDRESS | BACKEND_DRAIN_NAME,
	       "for both");
	ok(backend_undrain(backend) && !backend_is_draining(backend), "and neither is left");
	backend_unref(backend);
}

int main(void)
{
	test_drain();
	test_average();
	test_threads();
	test_models();
	test_list();
	return tap_done();
}
