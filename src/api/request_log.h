/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the log has about requests for a model: one message at the end of those that log.requests
 * asks for, never a prompt, a key or a header. Worker-local, embedded in struct api. Internal to
 * api/.
 */
#pragma once

#include "loop/loop.h"
#include "metrics/registry.h"

struct request;

struct request_log {
	struct loop *loop;
	struct slab *slab;
	const struct series *withheld;
	struct timer report; /* set while there is something to tell */
	uint64_t n_withheld; /* since the last report */
	uint64_t spent_ns;   /* until then the rate is used up, on clock_monotonic_ns()'s scale */
	uint64_t n_sampled;  /* requests that a sample was taken of */
};

void request_log_init(struct request_log *log, struct loop *loop, struct registry *registry,
		      struct slab *slab);
/* Tells what is not told yet. */
void request_log_done(struct request_log *log);
/* The request has ended, whose outcome is known; `end_ns` is now. */
void request_log_end(struct request_log *log, struct request *request, uint64_t end_ns);
