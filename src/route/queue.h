/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that wait for a place at a backend: two lanes, each first come, first served over all
 * workers. Whoever gives a place back hands it to the first who wants it, through that one's
 * mailbox, and whoever makes a backend unusable wakes those who wait in vain; nobody polls. One
 * mutex, around short looks at the lanes only. The process has one queue, which outlives the
 * workers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/list.h"
#include "loop/waiter.h"
#include "route/attempts.h"

struct queue;

enum queue_lane { QUEUE_HIGH, QUEUE_NORMAL, N_QUEUE_LANES };

/* Embedded in who waits. While it is in the queue any thread reads `attempts`, and its owner
 * changes nothing there. */
struct queue_entry {
	struct list node;
	struct waiter *waiter; /* NULL while it does not wait */
	const struct attempts *attempts;
	uint64_t until_ns;    /* it will wait no longer, on clock_monotonic_ns()'s scale */
	uint64_t ticket;      /* its turn, however often it comes back; 0: it never waited */
	struct grant granted; /* its own */
};

struct queue *queue_new(void) MUST_CHECK;
/* Empty. Accepts NULL, returns NULL. */
struct queue *queue_free(struct queue *queue);

static inline void queue_entry_init(struct queue_entry *entry, const struct attempts *attempts)
{
	*entry = (struct queue_entry){.attempts = attempts};
	list_init(&entry->node);
}

/* Waits from now on, until entry->until_ns, which its owner has set and heeds, unless `most` do
 * already: -ENOBUFS. One that comes back is where it was in its lane, and finds room. `waiter`,
 * taken over unless it fails, is woken once there is a place, or nothing to wait for any more,
 * perhaps before this returns; then queue_leave() tells where. */
int queue_enter(struct queue *queue, struct queue_entry *entry, enum queue_lane lane, size_t most,
		struct waiter *waiter) MUST_CHECK;
/* Waits no more: where it has a place now, to be given to attempts_grant() or attempts_decline();
 * its backend is NULL when there is none. On the thread of its waiter's mailbox; safe to call
 * again. A waiter that has been woken is to be forgotten first: entry->waiter = NULL. */
struct grant queue_leave(struct queue *queue, struct queue_entry *entry);
/* Gives a place back: to who waits for it, else to the backend. Any thread; `queue` may be NULL. */
void queue_give_back(struct queue *queue, struct backend *backend);
/* The backend may have places, for another reason than that. Any thread. */
void queue_offer(struct queue *queue, struct backend *backend);
/* A backend is usable no more, or again, or others may be: each in its turn gets a place, if there
 * is one for it, or is woken when it has nothing to wait for any more. Returns after how many
 * nanoseconds a backend that one of the others waits for is left alone no more; UINT64_MAX: there
 * is none. Any thread. */
uint64_t queue_review(struct queue *queue);
