/* SPDX-License-Identifier: Apache-2.0 */
#include "api/pause.h"

#include "api/api_state.h"
#include "base/clock.h"
#include "route/queue.h"

/* Without memory for the timer those who wait do so for as long as they would anyway. */
static void watch_for(struct api *api, uint64_t pause_ns)
{
	uint64_t now = clock_monotonic_ns();

	if (pause_ns > UINT64_MAX - now)
		return;
	if (!timer_is_set(&api->pause) || now + pause_ns < api->pause.due_ns)
		(void)!loop_timer_set(api->in.loop, &api->pause, now + pause_ns);
}

static void review(struct api *api)
{
	watch_for(api, queue_review(api->in.queue));
}

static void pause_over(struct timer *timer)
{
	review(container_of(timer, struct api, pause));
}

void pause_init(struct timer *pause)
{
	timer_init(pause, pause_over);
}

/* Tells whether it is news: what makes a pause longer is told when it would have been over. */
static bool note_pause(struct backend *backend, uint64_t pause_ns)
{
	uint64_t now = clock_monotonic_ns();

	if (atomic_load_explicit(&backend->pause_told_ns, memory_order_relaxed) > now)
		return false;
	atomic_store_explicit(&backend->pause_told_ns, now + pause_ns, memory_order_relaxed);
	return true;
}

void pause_heed(struct api *api, struct backend *backend)
{
	uint64_t ns = backend_pause_ns(backend, &api->use->table->config->breaker);

	if (ns > 0 && note_pause(backend, ns))
		review(api);
}

void pause_ended(struct api *api, struct backend *backend)
{
	atomic_store_explicit(&backend->pause_told_ns, 0, memory_order_relaxed);
	queue_offer(api->in.queue, backend);
}

void pause_watch(struct api *api, const struct attempts *waiting)
{
	watch_for(api, attempts_pause_ns(waiting));
}
