/* SPDX-License-Identifier: Apache-2.0 */
#include "api/pause.h"

#include "api/api_state.h"
#include "base/clock.h"
#include "route/queue.h"

/* Without memory for the timer those who wait do so for as long as they would anyway. */
static void watch_for(struct api *api, uint64_t pause_ns)
{
	uint64_t at = clock_monotonic_ns() + pause_ns;

	if (!timer_is_set(&api->pause) || at < api->pause.due_ns)
		(void)!loop_timer_set(api->in.loop, &api->pause, at);
}

static void pause_over(struct timer *timer)
{
	struct api *api = container_of(timer, struct api, pause);
	const struct route_table *table = api->use->table;

	queue_review(api->in.queue, table);
	for (size_t i = 0; i < table->config->n_backends; i++) {
		uint64_t ns = backend_pause_ns(table->backends[i], &table->config->breaker);

		if (ns > 0)
			watch_for(api, ns);
	}
}

void pause_init(struct timer *pause)
{
	timer_init(pause, pause_over);
}

/* What makes a pause longer is told when it would have been over. */
static bool is_told(struct backend *backend, uint64_t pause_ns)
{
	uint64_t now = clock_monotonic_ns();

	if (atomic_load_explicit(&backend->pause_told_ns, memory_order_relaxed) > now)
		return true;
	atomic_store_explicit(&backend->pause_told_ns, now + pause_ns, memory_order_relaxed);
	return false;
}

void pause_heed(struct api *api, struct backend *backend)
{
	const struct route_table *table = api->use->table;
	uint64_t ns = backend_pause_ns(backend, &table->config->breaker);

	if (ns == 0)
		return;
	watch_for(api, ns);
	if (!is_told(backend, ns))
		queue_review(api->in.queue, table);
}
