/* SPDX-License-Identifier: Apache-2.0 */
#include "api/relay_queue.h"

#include <errno.h>

#include "api/api_state.h"
#include "api/pause.h"
#include "api/relay_state.h"
#include "base/clock.h"

static enum queue_lane lane_of(const struct exchange *exchange)
{
	struct str wish = str_trim(exchange_header(exchange, "X-Nexus-Priority"));

	return str_eq_nocase(wish, STR_LITERAL("high")) ? QUEUE_HIGH : QUEUE_NORMAL;
}

/* It may wait several times, when the place it got was of no use. */
static uint64_t patience_ns(const struct relay *relay)
{
	uint64_t most_ns = relay->request->table->config->queue.max_wait;

	return relay->queue.waited_ns < most_ns ? most_ns - relay->queue.waited_ns : 0;
}

void relay_queue_init(struct relay_queue *queue, const struct attempts *attempts,
		      void (*impatient)(struct timer *patience))
{
	*queue = (struct relay_queue){0};
	queue_entry_init(&queue->place, attempts);
	timer_init(&queue->patience, impatient);
}

static int start_waiting(struct relay *relay, struct waiter *waiter)
{
	struct request *request = relay->request;
	const struct config *config = request->table->config;
	struct relay_queue *queue = &relay->queue;
	int r;

	queue->since_ns = clock_monotonic_ns();
	queue->place.until_ns = queue->since_ns + patience_ns(relay);
	r = loop_timer_set(relay_loop(relay), &queue->patience, queue->place.until_ns);
	if (r < 0) {
		queue->since_ns = 0;
		return r;
	}
	/* The choice was made: that there is no place yet is the backends' part. */
	if (!request->times.routed_ns)
		request->times.routed_ns = queue->since_ns;
	r = queue_enter(request->api->in.queue, &queue->place, lane_of(request->exchange),
			(size_t)config->queue.max_size, waiter);
	if (r == 0) {
		pause_watch(request->api, &relay->attempts);
		slab_gauge_add(request->api->in.slab, request->api->series.queue_depth, 1);
		return 0;
	}
	queue->since_ns = 0;
	loop_timer_clear(relay_loop(relay), &queue->patience);
	return r;
}

enum problem relay_queue_enter(struct relay *relay, void (*woken)(void *relay))
{
	struct api *api = relay->request->api;
	struct waiter *waiter = waiter_new(api->in.mailbox, woken, relay);
	int r = waiter ? start_waiting(relay, waiter) : -ENOMEM;

	if (r == 0)
		return PROBLEM_NONE;
	if (waiter) {
		waiter_abandon(waiter);
		waiter_wake(waiter); /* which frees it */
	}
	if (r != -ENOBUFS)
		return PROBLEM_OVERLOADED;
	slab_add(api->in.slab, api->series.queue_rejections[QUEUE_REJECTION_FULL], 1);
	return PROBLEM_QUEUE_FULL;
}

static void end_waiting(struct relay *relay)
{
	struct api *api = relay->request->api;
	uint64_t waited_ns = clock_monotonic_ns() - relay->queue.since_ns;

	loop_timer_clear(relay_loop(relay), &relay->queue.patience);
	slab_gauge_add(api->in.slab, api->series.queue_depth, -1);
	slab_observe(api->in.slab, api->series.queue_duration, waited_ns);
	relay->waited_ns += waited_ns;
	relay->queue.waited_ns += waited_ns;
	relay->queue.since_ns = 0;
}

struct grant relay_queue_take(struct relay *relay)
{
	relay->queue.place.waiter = NULL;
	end_waiting(relay);
	return queue_leave(relay->request->api->in.queue, &relay->queue.place);
}

bool relay_queue_leave(struct relay *relay)
{
	struct grant granted;

	if (!relay->queue.since_ns)
		return false;
	end_waiting(relay);
	granted = queue_leave(relay->request->api->in.queue, &relay->queue.place);
	if (granted.backend)
		attempts_decline(&relay->attempts, granted);
	return true;
}

void relay_queue_give_up(struct relay *relay)
{
	struct api *api = relay->request->api;

	if (relay_queue_leave(relay))
		slab_add(api->in.slab, api->series.queue_rejections[QUEUE_REJECTION_TIMEOUT], 1);
}
