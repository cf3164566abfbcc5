/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: one thread with one loop, which serves requests from birth to end. Everything here is
 * for the main thread; what must happen on the worker's goes there by its mailbox.
 */
#pragma once

#include <stdint.h>

#include "api/api.h"
#include "base/attr.h"
#include "config/config.h"
#include "http/listener.h"
#include "loop/mailbox.h"
#include "metrics/registry.h"
#include "route/route_table.h"

struct history;
struct queue;
struct statsd;
struct worker;

struct worker_inputs {
	struct registry *registry;
	struct history *history; /* outlives the worker */
	struct statsd *statsd;   /* outlives the worker */
	struct queue *queue;     /* outlives the worker */
	const struct lifecycle *lifecycle;
	struct control *control;           /* outlives the worker */
	struct census *census;             /* of all workers; outlives them */
	struct listener *const *listeners; /* of worker_new() only */
	size_t n_listeners;
	struct route_table *table; /* worker_new() takes a reference */
	const struct step *steps;
	size_t n_steps;
	uint64_t beat_ns; /* turn at least this often; 0: only when there is work */
	struct mailbox *main;
	/* On the main thread, once each, after worker_drain() or _retire(): no new connections are
	 * taken any more; the last one is gone. */
	void (*stopped_accepting)(void *context);
	void (*drained)(void *context);
	/* On the main thread, after worker_set_listeners(): no others are held any more. */
	void (*listeners_set)(void *context);
	void *context;
};

/* Starts the thread. NULL with errno set. */
struct worker *worker_new(const struct worker_inputs *inputs) MUST_CHECK;
/* Stops the thread, whatever it is doing, and waits for it: nothing is posted to `main` any more.
 */
void worker_stop(struct worker *worker);
/* Stops and frees it. What it posted to `main` must be delivered before. Accepts NULL, returns
 * NULL.
 */
struct worker *worker_free(struct worker *worker);

/* Makes sure that there is memory for the next worker_set_route_table(), which needs that. -ENOMEM.
 */
int worker_expect_route_table(struct worker *worker) MUST_CHECK;
/* Every request that begins once this has returned uses it. Takes a reference for the worker. */
void worker_set_route_table(struct worker *worker, struct route_table *table);
/* Accepts from these and no others. -ENOMEM: it goes on with the old ones. */
int worker_set_listeners(struct worker *worker, struct listener *const *listeners,
			 size_t n) MUST_CHECK;
/* No new connections; `drained` is called when the last one is gone. */
void worker_drain(struct worker *worker);
/* The same, but idle connections may bring one more request each. */
void worker_retire(struct worker *worker);
/* The time for it is over: requests still running are told so. */
void worker_hurry(struct worker *worker);
uint64_t worker_heartbeat(const struct worker *worker);
