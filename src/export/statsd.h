/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The push to a StatsD or Carbon receiver: a clock that lets what was counted go out, and what
 * becomes of it. It never waits for the receiver, and what the receiver could not be given goes
 * out with a later push. For the main thread, but for the status.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"
#include "loop/loop.h"
#include "metrics/registry.h"

struct statsd;

struct statsd_inputs {
	struct loop *loop;
	struct registry *registry;
	struct slab *slab; /* of the main thread */
	/* The receiver at this address cannot be reached any more, for that reason, or again: NULL.
	 */
	void (*changed)(void *context, const char *address, const char *error);
	void *context;
};

/* Switched off as yet. NULL for no memory. */
struct statsd *statsd_new(const struct statsd_inputs *inputs) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct statsd *statsd_free(struct statsd *statsd);

/* Puts `config` in force, of which it keeps a reference. What was counted before it is switched on
 * for the first time is pushed only if that happens at the first call. -ENOMEM: it is switched
 * off. */
int statsd_configure(struct statsd *statsd, struct config *config) MUST_CHECK;
/* Another process takes over: from now on only what is counted here is pushed, no gauge and no
 * total, which the other one tells. */
void statsd_leave(struct statsd *statsd);
/* One last push, for which the whole loop waits: 200 ms at most. */
void statsd_finish(struct statsd *statsd);

struct statsd_status {
	bool is_enabled;
	char address[304];
	char error[128]; /* why the last push was not taken; empty when it was, or before it */
};

/* Any thread. */
void statsd_status(struct statsd *statsd, struct statsd_status *ret_status);
