/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

#define BATCH           64
#define HOOK_PASSES_MAX 8

struct loop {
	int epoll_fd;
	uint64_t now_ns;
	uint64_t last_turn_ns;
	_Atomic uint64_t turns;

	/* the batch being dispatched, so that loop_unwatch() can strike events out of it */
	struct epoll_event events[BATCH];
	int n_events, next_event;

	struct timer **heap; /* binary min-heap by due_ns */
	size_t n_timers, heap_cap;

	struct list hooks;
	bool again; /* hooks are wanted once more in this turn */

	atomic_bool stopping;
	int stop_fd;
	struct watch stop_watch;
};

static void stop_ready(struct watch *watch, uint32_t events UNUSED)
{
	uint64_t count;

	/* Only empties it; `stopping` says what it means. A failed read leaves it readable. */
	(void)!read(watch->fd, &count, sizeof(count));
}

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	list_init(&loop->hooks);
	watch_init(&loop->stop_watch, stop_ready);
	loop->now_ns = clock_monotonic_ns();
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->epoll_fd < 0 || loop->stop_fd < 0 ||
	    loop_watch(loop, &loop->stop_watch, loop->stop_fd, EPOLLIN) < 0)
		return loop_free(loop);
	return loop;
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	assert(list_is_empty(&loop->hooks));
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->stop_fd >= 0)
		close(loop->stop_fd);
	free(loop->heap);
	free(loop);
	return NULL;
}

int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	assert(watch->fd < 0);
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	watch->fd = fd;
	return 0;
}

int loop_watch_change(struct loop *loop, struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0 ? -errno : 0;
}

void loop_strike(struct loop *loop, struct watch *watch)
{
	for (int i = loop->next_event; i < loop->n_events; i++)
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
	if (watch->fd < 0)
		return;
	/* Fails only when the fd was closed before, and then the kernel has forgotten it, too. */
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->fd = -1;
	loop_strike(loop, watch);
}

void loop_close(struct loop *loop, struct watch *watch)
{
	int fd = watch->fd;

	loop_unwatch(loop, watch);
	if (fd >= 0)
		close(fd);
}

static void heap_place(struct loop *loop, size_t slot, struct timer *timer)
{
	loop->heap[slot] = timer;
	timer->slot = slot;
}

static void heap_sift_up(struct loop *loop, size_t slot, struct timer *timer)
{
	while (slot > 0 && loop->heap[(slot - 1) / 2]->due_ns > timer->due_ns) {
		heap_place(loop, slot, loop->heap[(slot - 1) / 2]);
		slot = (slot - 1) / 2;
	}
	heap_place(loop, slot, timer);
}

static void heap_sift_down(struct loop *loop, size_t slot, struct timer *timer)
{
	for (;;) {
		size_t child = 2 * slot + 1;

		if (child >= loop->n_timers)
			break;
		if (child + 1 < loop->n_timers &&
		    loop->heap[child + 1]->due_ns < loop->heap[child]->due_ns)
			child++;
		if (loop->heap[child]->due_ns >= timer->due_ns)
			break;
		heap_place(loop, slot, loop->heap[child]);
		slot = child;
	}
	heap_place(loop, slot, timer);
}

static int heap_grow(struct loop *loop)
{
	size_t cap = loop->heap_cap ? 2 * loop->heap_cap : 64;
	struct timer **heap = realloc(loop->heap, cap * sizeof(struct timer *));

	if (!heap)
		return -ENOMEM;
	loop->heap = heap;
	loop->heap_cap = cap;
	return 0;
}

int loop_timer_set(struct loop *loop, struct timer *timer, uint64_t due_ns)
{
	if (timer_is_set(timer)) {
		bool later = due_ns > timer->due_ns;

		timer->due_ns = due_ns;
		if (later)
			heap_sift_down(loop, timer->slot, timer);
		else
			heap_sift_up(loop, timer->slot, timer);
		return 0;
	}
	if (loop->n_timers == loop->heap_cap && heap_grow(loop) < 0)
		return -ENOMEM;
	timer->due_ns = due_ns;
	heap_sift_up(loop, loop->n_timers++, timer);
	return 0;
}

void loop_timer_clear(struct loop *loop, struct timer *timer)
{
	size_t slot = timer->slot;
	struct timer *last;

	if (!timer_is_set(timer))
		return;
	assert(slot < loop->n_timers && loop->heap[slot] == timer);
	timer->slot = TIMER_UNSET;
	last = loop->heap[--loop->n_timers];
	if (last == timer)
		return;
	if (slot > 0 && loop->heap[(slot - 1) / 2]->due_ns > last->due_ns)
		heap_sift_up(loop, slot, last);
	else
		heap_sift_down(loop, slot, last);
}

void loop_hook_add(struct loop *loop, struct hook *hook)
{
	list_append(&loop->hooks, &hook->node);
}

void loop_hook_remove(struct hook *hook)
{
	list_remove(&hook->node);
}

static void fire_timers(struct loop *loop)
{
	/* A timer set again for now or earlier by its own callback waits for the next turn. */
	for (size_t left = loop->n_timers; left > 0 && loop->n_timers > 0; left--) {
		struct timer *timer = loop->heap[0];

		if (timer->due_ns > loop->now_ns)
			return;
		loop_timer_clear(loop, timer);
		timer->fire(timer);
	}
}

void loop_again(struct loop *loop)
{
	loop->again = true;
}

static uint64_t run_hooks_once(struct loop *loop)
{
	uint64_t wait_ns = UINT64_MAX;

	loop->again = false;
	list_for_each (node, next, &loop->hooks) {
		struct hook *hook = list_entry(node, struct hook, node);
		uint64_t wanted = hook->turn_end(hook);

		if (wanted < wait_ns)
			wait_ns = wanted;
	}
	return wait_ns;
}

/* Hooks feed each other (an answer read by one is written by another). The bound keeps sockets from
 * starving while they do. */
static uint64_t run_hooks(struct loop *loop)
{
	uint64_t wait_ns = run_hooks_once(loop);

	for (int pass = 1; loop->again && pass < HOOK_PASSES_MAX; pass++)
		wait_ns = run_hooks_once(loop);
	return loop->again ? 0 : wait_ns;
}

/* Rounded up, so that a timer is never looked at just before it is due. */
static int wait_msec(const struct loop *loop, uint64_t now, uint64_t wait_ns)
{
	uint64_t msec;

	if (wait_ns > 0 && loop->n_timers > 0) {
		uint64_t due = loop->heap[0]->due_ns;
		uint64_t until = due > now ? due - now : 0;

		if (until < wait_ns)
			wait_ns = until;
	}
	if (wait_ns == UINT64_MAX)
		return -1;
	msec = wait_ns / NS_PER_MSEC + (wait_ns % NS_PER_MSEC != 0);
	return msec > 60000 ? 60000 : (int)msec;
}

static void turn(struct loop *loop)
{
	/* Hooks first: what was set up before the loop ran must not wait for an event. */
	uint64_t wait_ns = run_hooks(loop), now = clock_monotonic_ns();
	int n;

	loop->last_turn_ns = now - loop->now_ns;
	n = epoll_wait(loop->epoll_fd, loop->events, BATCH, wait_msec(loop, now, wait_ns));
	loop->now_ns = clock_monotonic_ns();
	loop->n_events = n > 0 ? n : 0; /* EINTR: a turn without events */
	for (loop->next_event = 0; loop->next_event < loop->n_events;) {
		const struct epoll_event *event = &loop->events[loop->next_event++];
		struct watch *watch = event->data.ptr;

		if (watch)
			watch->ready(watch, event->events);
	}
	loop->n_events = 0;
	fire_timers(loop);
	atomic_fetch_add_explicit(&loop->turns, 1, memory_order_relaxed);
}

void loop_run(struct loop *loop)
{
	while (!atomic_exchange_explicit(&loop->stopping, false, memory_order_acquire))
		turn(loop);
}

void loop_stop(struct loop *loop)
{
	uint64_t one = 1;

	/* Pairs with the acquire in loop_run(). */
	atomic_store_explicit(&loop->stopping, true, memory_order_release);
	/* The counter is far from full; a lost write could only follow one that already woke it. */
	(void)!write(loop->stop_fd, &one, sizeof(one));
}

uint64_t loop_now_ns(const struct loop *loop)
{
	return loop->now_ns;
}

uint64_t loop_last_turn_ns(const struct loop *loop)
{
	return loop->last_turn_ns;
}

uint64_t loop_heartbeat(const struct loop *loop)
{
	return atomic_load_explicit(&loop->turns, memory_order_relaxed);
}
