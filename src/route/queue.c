/* SPDX-License-Identifier: Apache-2.0 */
#include "route/queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

struct queue {
	pthread_mutex_t mutex;            /* around the lanes and what is in them */
	struct list lanes[N_QUEUE_LANES]; /* by their tickets */
	uint64_t last_ticket;
	_Atomic size_t depth; /* written under the mutex */
};

struct queue *queue_new(void)
{
	struct queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	pthread_mutex_init(&queue->mutex, NULL);
	for (size_t lane = 0; lane < N_QUEUE_LANES; lane++)
		list_init(&queue->lanes[lane]);
	return queue;
}

struct queue *queue_free(struct queue *queue)
{
	if (!queue)
		return NULL;
	assert(queue->depth == 0);
	pthread_mutex_destroy(&queue->mutex);
	free(queue);
	return NULL;
}

/* Sequentially consistent with backend_leave() and backend_enter(): either who leaves sees who came
 * to wait, or who came sees the place. */
static bool is_empty(const struct queue *queue)
{
	return atomic_load_explicit(&queue->depth, memory_order_seq_cst) == 0;
}

static void take_out(struct queue *queue, struct queue_entry *entry)
{
	list_remove(&entry->node);
	atomic_fetch_sub_explicit(&queue->depth, 1, memory_order_relaxed);
}

static struct queue_entry *find(struct queue *queue, struct backend *backend)
{
	for (size_t lane = 0; lane < N_QUEUE_LANES; lane++) {
		list_for_each (node, following, &queue->lanes[lane]) {
			struct queue_entry *entry = list_entry(node, struct queue_entry, node);

			if (attempts_wants(entry->attempts, backend))
				return entry;
		}
	}
	return NULL;
}

/* Under the mutex, which its owner needs to go away. With the place it gets the way through the
 * circuit: while that is half open it is for one. */
static void hand_over(struct queue *queue, struct queue_entry *entry, struct backend *backend)
{
	take_out(queue, entry);
	entry->granted.backend = backend;
	(void)breaker_enter(&backend->breaker, attempts_way_in(entry->attempts, true),
			    &entry->granted.pass);
	waiter_wake(entry->waiter);
}

/* The place at the backend goes to the first who wants it. `is_taken`: it is one that is being
 * given back, which must not be kept when there are too many. */
static bool grant(struct queue *queue, struct backend *backend, bool is_taken)
{
	struct queue_entry *entry;
	bool is_granted;

	pthread_mutex_lock(&queue->mutex);
	entry = find(queue, backend);
	is_granted = entry && (is_taken ? !backend_is_full(backend, 1) : backend_enter(backend));
	if (is_granted)
		hand_over(queue, entry, backend);
	pthread_mutex_unlock(&queue->mutex);
	return is_granted;
}

void queue_give_back(struct queue *queue, struct backend *backend)
{
	/* Handed on it is never free, so that nobody who has just come gets it before those who
	 * wait. */
	if (queue && !is_empty(queue) && grant(queue, backend, true))
		return;
	backend_leave(backend);
	if (queue && !is_empty(queue))
		queue_offer(queue, backend);
}

void queue_offer(struct queue *queue, struct backend *backend)
{
	while (!is_empty(queue) && grant(queue, backend, false))
		;
}

/* Of all that it may go to. */
static bool grant_any(struct queue *queue, struct queue_entry *entry)
{
	const struct route_model *model;

	for (size_t i = 0; (model = attempts_chain_at(entry->attempts, i)); i++) {
		for (size_t k = 0; k < model->n_candidates; k++) {
			struct backend *backend = model->candidates[k].backend;

			if (attempts_wants(entry->attempts, backend) && backend_enter(backend)) {
				hand_over(queue, entry, backend);
				return true;
			}
		}
	}
	return false;
}

/* Neither a place nor the end of a pause is to be expected in its time. */
static bool is_hopeless(const struct queue_entry *entry, uint64_t pause_ns)
{
	uint64_t now;

	if (attempts_may_wait(entry->attempts))
		return false;
	now = clock_monotonic_ns();
	return now >= entry->until_ns || pause_ns > entry->until_ns - now;
}

/* Returns what it may wait for, as queue_review() does of all. */
static uint64_t review(struct queue *queue, struct queue_entry *entry)
{
	uint64_t pause_ns = attempts_pause_ns(entry->attempts);

	if (!is_hopeless(entry, pause_ns))
		return pause_ns;
	take_out(queue, entry);
	waiter_wake(entry->waiter);
	return UINT64_MAX;
}

/* Takes the mutex even if nobody seems to wait: either this sees who came, or who came sees in
 * look_again() what happened before. */
uint64_t queue_review(struct queue *queue)
{
	uint64_t least_ns = UINT64_MAX;

	pthread_mutex_lock(&queue->mutex);
	for (size_t lane = 0; lane < N_QUEUE_LANES; lane++) {
		list_for_each (node, following, &queue->lanes[lane]) {
			struct queue_entry *entry = list_entry(node, struct queue_entry, node);
			uint64_t ns = grant_any(queue, entry) ? UINT64_MAX : review(queue, entry);

			if (ns < least_ns)
				least_ns = ns;
		}
	}
	pthread_mutex_unlock(&queue->mutex);
	return least_ns;
}

/* Offers the places of all its backends, to whoever comes first, and wakes it when it has nothing
 * to wait for. */
static void look_again(struct queue *queue, struct queue_entry *entry)
{
	const struct route_model *model;

	for (size_t i = 0; (model = attempts_chain_at(entry->attempts, i)); i++)
		for (size_t k = 0; k < model->n_candidates; k++)
			queue_offer(queue, model->candidates[k].backend);
	pthread_mutex_lock(&queue->mutex);
	if (!list_is_empty(&entry->node))
		(void)review(queue, entry);
	pthread_mutex_unlock(&queue->mutex);
}

/* Nearly everyone is new, and stands at the end. */
static void line_up(struct queue *queue, enum queue_lane lane, struct queue_entry *entry)
{
	struct list *behind = &queue->lanes[lane];

	if (!entry->ticket)
		entry->ticket = ++queue->last_ticket;
	while (behind->prev != &queue->lanes[lane] &&
	       list_entry(behind->prev, struct queue_entry, node)->ticket > entry->ticket)
		behind = behind->prev;
	list_append(behind, &entry->node);
}

int queue_enter(struct queue *queue, struct queue_entry *entry, enum queue_lane lane, size_t most,
		struct waiter *waiter)
{
	bool has_room;

	pthread_mutex_lock(&queue->mutex);
	has_room =
		entry->ticket || atomic_load_explicit(&queue->depth, memory_order_relaxed) < most;
	if (has_room) {
		entry->waiter = waiter;
		line_up(queue, lane, entry);
		atomic_fetch_add_explicit(&queue->depth, 1, memory_order_seq_cst);
	}
	pthread_mutex_unlock(&queue->mutex);
	if (!has_room)
		return -ENOBUFS;
	/* A place may have become free since it was looked for. */
	look_again(queue, entry);
	return 0;
}

struct grant queue_leave(struct queue *queue, struct queue_entry *entry)
{
	struct grant granted;
	bool waits;

	pthread_mutex_lock(&queue->mutex);
	waits = !list_is_empty(&entry->node);
	if (waits)
		take_out(queue, entry);
	granted = entry->granted;
	entry->granted = (struct grant){.backend = NULL};
	pthread_mutex_unlock(&queue->mutex);
	waiter_abandon(entry->waiter);
	/* Only its delivery frees it; where it was granted a place that is under way. */
	if (waits)
		waiter_wake(entry->waiter);
	entry->waiter = NULL;
	return granted;
}
