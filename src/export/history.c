/* SPDX-License-Identifier: Apache-2.0 */
#include "export/history.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

#define MINUTE_NS (60 * NS_PER_SEC)

struct history {
	struct registry *registry;
	/* main thread only */
	struct loop *loop; /* NULL before history_start() */
	struct timer timer;
	struct distribution duration, first_token; /* as of the last point */

	pthread_mutex_t mutex; /* around what follows; held to copy points and for nothing else */
	size_t n_taken;        /* the youngest is points[(n_taken - 1) % HISTORY_MAX_POINTS] */
	struct history_point points[HISTORY_MAX_POINTS];
};

static void timer_due(struct timer *timer)
{
	struct history *history = container_of(timer, struct history, timer);
	uint64_t now_ns = loop_now_ns(history->loop);

	(void)!history_take(history, now_ns, clock_realtime_msec());
	/* The timer that has just fired left room for itself. */
	(void)!loop_timer_set(history->loop, timer, now_ns + HISTORY_INTERVAL_SECONDS * NS_PER_SEC);
}

struct history *history_new(struct registry *registry)
{
	struct history *history = calloc(1, sizeof(*history));

	if (!history)
		return NULL;
	history->registry = registry;
	timer_init(&history->timer, timer_due);
	pthread_mutex_init(&history->mutex, NULL);
	return history;
}

struct history *history_free(struct history *history)
{
	if (!history)
		return NULL;
	if (history->loop)
		loop_timer_clear(history->loop, &history->timer);
	pthread_mutex_destroy(&history->mutex);
	free(history);
	return NULL;
}

int history_start(struct history *history, struct loop *loop)
{
	uint64_t now_ns = clock_monotonic_ns();
	int r = history_take(history, now_ns, clock_realtime_msec());

	if (r < 0)
		return r;
	history->loop = loop;
	return loop_timer_set(loop, &history->timer,
			      now_ns + HISTORY_INTERVAL_SECONDS * NS_PER_SEC);
}

static void take_sample(void *context, const struct sample *sample)
{
	totals_add(context, sample);
}

/* What was observed since the last point, which is now the one with `now`. */
static struct percentiles advance(struct distribution *last, const struct distribution *now)
{
	struct distribution since = *now;

	distribution_subtract(&since, last);
	*last = *now;
	return distribution_percentiles(&since);
}

int history_take(struct history *history, uint64_t monotonic_ns, uint64_t realtime_msec)
{
	struct totals totals = {0};
	const struct snapshot_visitor visitor = {.sample = take_sample, .context = &totals};
	struct history_point point;
	int r = snapshot_visit(history->registry, &visitor);

	if (r < 0)
		return r;
	point = (struct history_point){
		.monotonic_ns = monotonic_ns,
		.realtime_msec = realtime_msec,
		.requests = totals.requests,
		.errors = totals.requests - totals.success,
		.tokens = totals.tokens,
		.pending = totals.pending,
		.streams = totals.streams,
		.duration = advance(&history->duration, &totals.duration),
		.first_token = advance(&history->first_token, &totals.first_token),
	};
	pthread_mutex_lock(&history->mutex);
	history->points[history->n_taken++ % HISTORY_MAX_POINTS] = point;
	pthread_mutex_unlock(&history->mutex);
	return 0;
}

static size_t count(const struct history *history)
{
	return history->n_taken < HISTORY_MAX_POINTS ? history->n_taken : HISTORY_MAX_POINTS;
}

/* The i-th oldest. */
static const struct history_point *point_at(const struct history *history, size_t i)
{
	return &history->points[(history->n_taken - count(history) + i) % HISTORY_MAX_POINTS];
}

size_t history_read(struct history *history, struct history_point points[static HISTORY_MAX_POINTS])
{
	size_t n;

	pthread_mutex_lock(&history->mutex);
	n = count(history);
	for (size_t i = 0; i < n; i++)
		points[i] = *point_at(history, i);
	pthread_mutex_unlock(&history->mutex);
	return n;
}

struct history_point history_minute_ago(struct history *history, uint64_t now_ns)
{
	struct history_point point = {0};

	pthread_mutex_lock(&history->mutex);
	for (size_t i = count(history); i > 0; i--) {
		point = *point_at(history, i - 1);
		if (point.monotonic_ns + MINUTE_NS <= now_ns)
			break;
	}
	pthread_mutex_unlock(&history->mutex);
	return point;
}
