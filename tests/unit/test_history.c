/* SPDX-License-Identifier: Apache-2.0 */
#include "export/history.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "metrics/bundle.h"
#include "tests/tap.h"

#define START_NS   (1000 * NS_PER_SEC)
#define START_MSEC 1800000000000

struct scene {
	struct registry *registry;
	struct slab *slab;
	struct bundle *bundle;
	struct history *history;
	uint64_t n_taken;
	struct history_point points[HISTORY_MAX_POINTS];
};

static void scene_init(struct scene *scene)
{
	const struct registry_options options = {.max_series = 100, .max_series_per_family = 100};

	*scene = (struct scene){.registry = need(registry_new(&options))};
	scene->slab = need(registry_slab_new(scene->registry));
	scene->bundle = need(bundle_find(scene->registry, STR_LITERAL("m"), STR_LITERAL("b")));
	scene->history = need(history_new(scene->registry));
}

static void scene_done(struct scene *scene)
{
	history_free(scene->history);
	registry_free(scene->registry);
}

static void request(struct scene *scene, unsigned status, uint64_t msec)
{
	slab_add(scene->slab, bundle_requests(scene->bundle, status), 1);
	slab_observe(scene->slab, bundle_series(scene->bundle, BUNDLE_DURATION),
		     msec * NS_PER_MSEC);
	if (status == 200)
		slab_observe(scene->slab, bundle_series(scene->bundle, BUNDLE_TOKENS_PROMPT), 7);
}

/* Ten seconds after the last one. */
static void take(struct scene *scene)
{
	uint64_t seconds = HISTORY_INTERVAL_SECONDS * scene->n_taken++;

	if (history_take(scene->history, START_NS + seconds * NS_PER_SEC,
			 START_MSEC + seconds * 1000) < 0)
		abort();
}

static size_t read_points(struct scene *scene)
{
	return history_read(scene->history, scene->points);
}

static uint64_t minute_ago(const struct scene *scene, uint64_t seconds)
{
	return history_minute_ago(scene->history, START_NS + seconds * NS_PER_SEC).requests;
}

static void test_points(void)
{
	const struct history_point *first, *second;
	struct scene scene;

	scene_init(&scene);
	is_u64(read_points(&scene), 0, "nothing was taken yet");
	is_u64(minute_ago(&scene, 0), 0, "so there is nothing to compare with");
	request(&scene, 200, 50);
	take(&scene);
	request(&scene, 200, 200);
	request(&scene, 502, 200);
	slab_gauge_add(scene.slab, registry_series(scene.registry, METRIC_ACTIVE_STREAMS, NULL), 5);
	take(&scene);
	is_u64(read_points(&scene), 2, "two points");
	first = &scene.points[0];
	second = &scene.points[1];
	is_u64(first->requests, 1, "totals of the first");
	is_u64(second->requests, 3, "and of the second");
	is_u64(second->errors, 1, "errors");
	is_u64(second->tokens, 14, "tokens");
	is_u64(second->streams, 5, "streams");
	is_u64(second->monotonic_ns - first->monotonic_ns, 10 * NS_PER_SEC, "monotonic time");
	is_u64(second->realtime_msec, START_MSEC + 10000, "real time");
	is_u64(first->duration.p50, 50 * NS_PER_MSEC, "the first's percentiles");
	is_u64(second->duration.count, 2, "the second's are of its own interval");
	is_u64(second->duration.p50, 175 * NS_PER_MSEC, "and leave the older ones out");
	take(&scene);
	is_u64(read_points(&scene), 3, "three points");
	is_u64(scene.points[2].duration.count, 0, "in a quiet interval nothing was observed");
	scene_done(&scene);
}

static void test_ring(void)
{
	struct scene scene;
	bool in_order = true;

	scene_init(&scene);
	for (int i = 0; i < 1000; i++) {
		request(&scene, 200, 1);
		take(&scene);
	}
	is_u64(read_points(&scene), HISTORY_MAX_POINTS, "it holds an hour and no more");
	for (size_t i = 1; i < HISTORY_MAX_POINTS; i++)
		in_order &= scene.points[i].requests == scene.points[i - 1].requests + 1;
	ok(in_order, "the oldest first");
	is_u64(scene.points[HISTORY_MAX_POINTS - 1].requests, 1000, "up to the last");
	scene_done(&scene);
}

static void test_minute_ago(void)
{
	struct scene scene;

	scene_init(&scene);
	request(&scene, 200, 1);
	take(&scene);
	is_u64(minute_ago(&scene, 0), 1, "in the first minute: the start");
	for (int i = 0; i < 9; i++) {
		request(&scene, 200, 1);
		take(&scene);
	}
	/* Points at 0, 10, .. 90 s with 1, 2, .. 10 requests. */
	is_u64(minute_ago(&scene, 90), 4, "then the point a minute ago");
	is_u64(minute_ago(&scene, 99), 4, "or a little more");
	is_u64(minute_ago(&scene, 100), 5, "but not less");
	is_u64(minute_ago(&scene, 5000), 10, "after a long stall the youngest");
	scene_done(&scene);
}

static void *read_while_taken(void *context)
{
	struct history *history = context;
	struct history_point *points = calloc(HISTORY_MAX_POINTS, sizeof(*points));
	size_t wrong = 0;

	for (int i = 0; points && i < 300; i++) {
		size_t n = history_read(history, points);

		for (size_t k = 1; k < n; k++)
			wrong += points[k].requests != points[k - 1].requests + 1;
	}
	free(points);
	return (void *)wrong;
}

static void test_readers(void)
{
	struct scene scene;
	pthread_t threads[2];
	void *wrong;

	scene_init(&scene);
	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, read_while_taken, scene.history) != 0)
			abort();
	for (int i = 0; i < 1000; i++) {
		request(&scene, 200, 1);
		take(&scene);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &wrong);
		ok(wrong == NULL, "a reader never sees half a point or a wrong order");
	}
	scene_done(&scene);
}

static void test_start(void)
{
	struct loop *loop = need(loop_new());
	struct scene scene;
	uint64_t before = clock_monotonic_ns();

	scene_init(&scene);
	is_int(history_start(scene.history, loop), 0, "it starts");
	is_u64(read_points(&scene), 1, "with a point");
	ok(scene.points[0].monotonic_ns >= before &&
		   scene.points[0].monotonic_ns <= clock_monotonic_ns(),
	   "of now");
	scene_done(&scene);
	loop_free(loop);
}

int main(void)
{
	test_points();
	test_ring();
	test_minute_ago();
	test_readers();
	test_start();
	return tap_done();
}
