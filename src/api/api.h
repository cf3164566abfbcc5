/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP interface of one worker: it owns what requests need (the route table in force, the
 * metric series it feeds) and implements http_ops. Worker-local; made and driven by daemon/worker.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/hash.h"
#include "http/server.h"
#include "loop/mailbox.h"
#include "metrics/registry.h"
#include "route/route_table.h"
#include "upstream/client.h"

struct api;
struct control;
struct history;
struct queue;
struct request;
struct statsd;

/* What all workers share and the main thread writes. */
struct lifecycle {
	_Atomic bool ready, draining;
	uint64_t started_ns; /* clock_monotonic_ns() at the start */
};

/*
 * One link of the chain that a request for a model passes before it is routed: access control,
 * limits, a cache. None is built in yet; daemon_run()'s caller may give some.
 */
enum step_verdict {
	STEP_NEXT,    /* nothing against it */
	STEP_REPLIED, /* the step has replied */
	STEP_WAIT,    /* chain_wait() was called; the step runs again once woken */
};

struct step {
	const char *name;
	enum step_verdict (*run)(struct request *request, void *context);
	void *context;
};

struct api_inputs {
	struct loop *loop;
	struct mailbox *mailbox;
	struct client *client;
	struct registry *registry;
	struct history *history;
	struct statsd *statsd;
	struct slab *slab;
	struct queue *queue; /* the process's */
	const struct lifecycle *lifecycle;
	struct control *control;  /* for the admin face */
	const struct step *steps; /* outlive the api */
	size_t n_steps;
};

struct api *api_new(const struct api_inputs *inputs) MUST_CHECK;
/* No request may be left. Accepts NULL, returns NULL. */
struct api *api_free(struct api *api);
/* Main thread. The next api_offer_route_table() needs this to be 0 since the one before it.
 * -ENOMEM.
 */
int api_expect_route_table(struct api *api) MUST_CHECK;
/* Main thread. Requests that begin from now on use `table`; those under way keep theirs. Takes a
 * reference. */
void api_offer_route_table(struct api *api, struct route_table *table);
/* Without waiting for a request. Returns the one in force, borrowed until the next turn; there must
 * have been one. */
const struct route_table *api_take_route_table(struct api *api);
extern const struct http_ops api_ops; /* with a struct api as context */
