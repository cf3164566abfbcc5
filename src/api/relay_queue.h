/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wait of a request for a place at a backend. Embedded in the relay; worker-local, but for what
 * route/queue.h says of its entry. Internal to relay.c and what it is made of.
 */
#pragma once

#include "base/problem.h"
#include "loop/loop.h"
#include "route/queue.h"

struct relay;

struct relay_queue {
	struct queue_entry place;
	struct timer patience; /* set while it waits */
	uint64_t since_ns;     /* when it began to; 0: it does not wait */
	uint64_t waited_ns;    /* before that */
	bool left;             /* it was stopped while it waited */
};

/* `impatient` is called when it has waited for too long. */
void relay_queue_init(struct relay_queue *queue, const struct attempts *attempts,
		      void (*impatient)(struct timer *patience));
/* Lets it wait: `woken` is called, with the relay, once there is a place, or nothing to wait for.
 * Otherwise tells why not: PROBLEM_QUEUE_FULL, counted, or PROBLEM_OVERLOADED. PROBLEM_NONE: it
 * waits. */
enum problem relay_queue_enter(struct relay *relay, void (*woken)(void *relay)) MUST_CHECK;
/* `woken` was called: what was granted to it, see queue_leave(). */
struct grant relay_queue_take(struct relay *relay);
/* It has waited for too long: counts that, too. */
void relay_queue_give_up(struct relay *relay);
/* Whatever becomes of it, it waits no more; tells whether it did. */
bool relay_queue_leave(struct relay *relay);
