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
	struct relay_queue queue;
	struct timer backoff, deadline;
	unsigned n_attempts;
	enum outcome outcome;        /* of the last attempt that ended */
	struct transfer_trace trace; /* of the same */
	uint64_t upstream_ns;        /* so long backends had it */
	uint64_t backoff_since_ns;   /* since when it waits to ask one again; 0: it does not */
	uint64_t waited_ns;          /* for that, and for a place */
	/* Of the model whose plain answer failed, and is sent unless another comes: its place in
	 * the chain, or ATTEMPTS_NO_MODEL */
	size_t answer_at;
	const struct candidate *next; /* to be asked, once a pause is over */
	bool committed;               /* the head of the backend's answer went to the client */
	struct bundle *mixed; /* a reference: of the model asked for and a fallback's backend */

	/* The attempt under way, else the last one */
	const struct candidate *candidate;
	struct transfer *transfer; /* NULL while none runs */
	struct target target;
	struct buf body;      /* what is sent when it differs from the client's */
	struct upload upload; /* of a body that flows */
	bool asks_usage;      /* nexusd asked for the usage, not the client */
	bool withholds_usage; /* this backend seemed to say no to that just now */
	bool was_stale;       /* it repeats one on a stale connection */
	uint64_t asked_ns;    /* it had begun then, or been handed the last of a body that flows */

	/* Its answer */
	enum relay_phase phase;
	uint64_t head_ns; /* 0: none yet */
	unsigned status;  /* 0: none yet */
	int64_t content_length;
	struct buf headers; /* name NUL value NUL ... */
	struct buf plain;   /* collected to be judged */
	struct stream stream;
	struct usage usage;
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

static inline bool relay_may_retry_at_once(const struct relay *relay)
{
	return relay_can_repeat(relay) && attempts_may_retry_at_once(&relay->attempts);
}

/* No other attempt is possible at once, but one may be when a place is free. */
static inline bool relay_may_wait(const struct relay *relay)
{
	return relay->request->table->config->queue.enabled && relay_can_repeat(relay) &&
	       attempts_may_wait(&relay->attempts);
}
