/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct relay, for relay.c and what it is made of, which never calls relay.c. */
#pragma once

#include "api/api_state.h"
#include "api/record.h"
#include "api/relay.h"
#include "api/relay_queue.h"
#include "api/stream.h"
#include "api/upload.h"
#include "route/attempts.h"
#include "upstream/transfer.h"

enum relay_phase {
	RELAY_HEAD,   /* no head has come yet */
	RELAY_PLAIN,  /* collecting an answer to judge it */
	RELAY_PASS,   /* handing on an answer too large for that */
	RELAY_STREAM, /* an event stream */
};

struct relay {
	struct request *request;
	struct attempts attempts;
	const struct candidate *candidate; /* of the attempt under way, else the last one */
	struct transfer *transfer;         /* NULL while none runs */
	struct target target;
	struct buf body;      /* what is sent when it differs from the client's */
	struct upload upload; /* of a body that flows */
	struct timer backoff, deadline;
	struct relay_queue queue;
	/* Of the model whose plain answer failed, and is sent unless another comes: its place in
	 * the chain, or ATTEMPTS_NO_MODEL */
	size_t answer_at;

	enum relay_phase phase;
	bool committed;       /* the head of the backend's answer went to the client */
	bool asks_usage;      /* nexusd asked for the usage, not the client */
	bool withholds_usage; /* this backend seemed to say no to that just now */
	bool was_stale;       /* this attempt repeats one on a stale connection */
	unsigned status;      /* of the answer; 0 none */
	enum outcome outcome; /* of the last attempt that ended */
	int64_t content_length;
	struct buf headers; /* of the answer: name NUL value NUL ... */
	struct buf plain;
	struct stream stream;
	unsigned n_attempts;
	struct usage usage;
	struct transfer_trace trace;        /* of the attempt that ended last */
	uint64_t attempt_began_ns, head_ns; /* of the attempt; 0: no head yet */
	uint64_t upstream_ns;               /* waited for backends */
};

static inline struct loop *relay_loop(const struct relay *relay)
{
	return relay->request->api->in.loop;
}

static inline bool relay_is_passed(const struct relay *relay)
{
	return relay->request->route->flags & ROUTE_PASSED;
}

/* Is the request still there for another attempt? Of a body that flows only as long as all of it is
 * held. */
static inline bool relay_can_repeat(const struct relay *relay)
{
	return relay->request->exchange->dropped_bytes == 0;
}

static inline bool relay_may_retry(const struct relay *relay)
{
	return relay_can_repeat(relay) && attempts_may_retry(&relay->attempts);
}

/* No other attempt is possible at once, but one may be when a place is free. */
static inline bool relay_may_wait(const struct relay *relay)
{
	return relay->request->table->config->queue.enabled && relay_can_repeat(relay) &&
	       attempts_may_wait(&relay->attempts);
}
