/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's event loop over epoll: watches, timers and hooks at the end of each turn. Watches
 * and timers are embedded in their owners and never freed here; removing one is safe at any time,
 * also from inside a callback of the same batch. Everything but loop_stop() is for the loop's
 * own thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/attr.h"
#include "base/list.h"

struct loop;

struct watch {
	int fd;                                              /* -1 while not watched */
	void (*ready)(struct watch *watch, uint32_t events); /* EPOLL* bits */
};

#define TIMER_UNSET ((size_t)-1)

struct timer {
	uint64_t due_ns; /* on clock_monotonic_ns()'s scale */
	size_t slot;     /* TIMER_UNSET while not set */
	void (*fire)(struct timer *timer);
};

/* Runs at the end of every turn, after the callbacks of its batch, and once more whenever
 * loop_again() was called meanwhile. It returns the nanoseconds after which it wants the next turn
 * at the latest: 0 at once, UINT64_MAX whenever. */
struct hook {
	struct list node;
	uint64_t (*turn_end)(struct hook *hook);
};

/* NULL with errno set when the kernel gives no epoll or memory is out. */
struct loop *loop_new(void) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct loop *loop_free(struct loop *loop);
/* Turns until loop_stop(); may be called again afterwards. */
void loop_run(struct loop *loop);
/* Any thread, also a signal handler: loop_run() returns after the turn under way. */
void loop_stop(struct loop *loop);
/* The time at the start of the turn: free of system calls, at most one turn old. */
uint64_t loop_now_ns(const struct loop *loop);
/* How long the last turn took that has ended: so long an event may have waited for the next. */
uint64_t loop_last_turn_ns(const struct loop *loop);
/* Counts turns; another thread may read it to see that the loop lives. */
uint64_t loop_heartbeat(const struct loop *loop);

static inline void watch_init(struct watch *w, void (*ready)(struct watch *watch, uint32_t events))
{
	w->fd = -1;
	w->ready = ready;
}
/* -errno of epoll_ctl(2). The fd must stay open until loop_unwatch(). */
int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events) MUST_CHECK;
int loop_watch_change(struct loop *loop, struct watch *watch, uint32_t events) MUST_CHECK;
/* Forgets it, also events already fetched. Safe when not watched. */
void loop_unwatch(struct loop *loop, struct watch *watch);
/* The same, and closes the fd. */
void loop_close(struct loop *loop, struct watch *watch);
/* Forgets the events already fetched, and nothing else: of an fd that may be closed, and its number
 * another file's. The kernel has forgotten a closed one by itself. */
void loop_strike(struct loop *loop, struct watch *watch);

static inline void timer_init(struct timer *t, void (*fire)(struct timer *timer))
{
	t->slot = TIMER_UNSET;
	t->fire = fire;
}
/* Sets or moves it. -ENOMEM. */
int loop_timer_set(struct loop *loop, struct timer *timer, uint64_t due_ns) MUST_CHECK;
/* Safe when not set. */
void loop_timer_clear(struct loop *loop, struct timer *timer);
static inline bool timer_is_set(const struct timer *timer)
{
	return timer->slot != TIMER_UNSET;
}

void loop_hook_add(struct loop *loop, struct hook *hook);
void loop_hook_remove(struct hook *hook);
/* There is work for a hook that may have run already: the loop does not sleep before all hooks ran
 * once more. */
void loop_again(struct loop *loop);
