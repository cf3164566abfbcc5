/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct relay, for relay.c and what it is made of: attempt.c, answer.c, stream.c,
 * reply_head.c. None of these calls relay.c. */
#pragma once

#include "api/api_state.h"
#include "api/record.h"
#include "api/relay.h"
#include "route/attempts.h"
#include "route/queue.h"
#include "upstream/sse.h"
#include "upstream/transfer.h"

/* A plain answer up to this size is judged whole before a byte of it is relayed. */
#define PLAIN_MAX_BYTES (64u * 1024)
/* Of an answer's headers so much is passed on: the reply's head must fit beside the request's. */
#define ANSWER_HEADERS_MAX_BYTES 2048
/* A frame larger than this is relayed without being understood. */
#define FRAME_MAX_BYTES (256u * 1024)

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
	struct buf body;    /* what is sent when it differs from the client's */
	uint64_t upload_at; /* of a body that flows: so much was handed on */
	const char
		*upload_model;  /* and what is yet to take the place of its model; NULL: nothing */
	size_t upload_model_at; /* so much of that was handed on */
	struct timer backoff, deadline;
	struct queue_entry place; /* in the queue for one */
	struct timer patience;
	uint64_t queued_ns; /* since when it waits there; 0: it does not */
	uint64_t waited_ns; /* there before */
	bool left_queue;    /* it was stopped while it waited */
	/* Of the model whose plain answer failed, and is sent unless another comes: its place in
	 * the chain, or ATTEMPTS_NO_MODEL */
	size_t answer_at;

	enum relay_phase phase;
	bool committed;       /* the head of the backend's answer went to the client */
	bool asks_usage;      /* nexusd asked for the usage, not the client */
	bool withholds_usage; /* this backend said no to that just now */
	bool was_stale;       /* this attempt repeats one on a stale connection */
	unsigned status;      /* of the answer; 0 none */
	enum outcome outcome; /* of the last attempt that ended */
	int64_t content_length;
	struct buf headers; /* of the answer: name NUL value NUL ... */
	struct buf plain;
	struct sse sse;
	bool stream_done;        /* [DONE] came */
	bool stream_finished;    /* a finish_reason came */
	bool stream_failed;      /* an error event came */
	bool stream_is_response; /* its end has an event of its own */
	bool stream_stuck;       /* the client's queue is full or memory out */
	unsigned n_attempts;
	struct usage usage;
	struct transfer_trace trace;                /* of the attempt that ended last */
	uint64_t first_content_ns, last_content_ns; /* of a stream; 0 none */
	uint64_t attempt_began_ns, head_ns;         /* of the attempt; 0: no head yet */
	uint64_t upstream_ns;                       /* waited for backends */
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

/* What becomes of an attempt, as its answer shows piece by piece: answer.c and stream.c judge,
 * relay.c acts. */
enum fate {
	FATE_GOES_ON,
	FATE_FAILED,   /* nothing of it went to the client: the next attempt is due */
	FATE_REPEATED, /* the same backend is asked again, but not for the usage */
	FATE_DONE,     /* the answer is there; its end is passed off as one if it is `whole` */
	FATE_BROKEN,   /* a part went to the client, the rest is lost: it is told the `problem` */
};

struct verdict {
	enum fate fate;
	enum outcome outcome; /* of the attempt, unless it goes on */
	enum problem problem;
	bool whole;
};

static inline struct verdict verdict_goes_on(void)
{
	return (struct verdict){.fate = FATE_GOES_ON};
}

static inline struct verdict verdict_failed(enum outcome outcome)
{
	return (struct verdict){.fate = FATE_FAILED, .outcome = outcome};
}

static inline struct verdict verdict_done(enum outcome outcome, bool whole)
{
	return (struct verdict){.fate = FATE_DONE, .outcome = outcome, .whole = whole};
}

static inline struct verdict verdict_broken(enum outcome outcome, enum problem problem)
{
	return (struct verdict){.fate = FATE_BROKEN, .outcome = outcome, .problem = problem};
}

/* The backend's doing. */
static inline struct verdict verdict_cut(enum outcome outcome)
{
	return verdict_broken(outcome, outcome == OUTCOME_TIMEOUT ? PROBLEM_UPSTREAM_STALLED
								  : PROBLEM_UPSTREAM_TRUNCATED);
}

/* attempt.c */
/* Starts on relay->candidate. False: there was no memory for it, and the attempt has ended. */
bool attempt_start(struct relay *relay, const struct transfer_events *events) MUST_CHECK;
/* Ends the transfer under way, if any; attempt_ended() must follow. */
void attempt_cancel(struct relay *relay);
/* Its answer has begun. */
void attempt_answered(struct relay *relay);
/* It is no success, whatever is still to come of its answer. */
void attempt_failed(struct relay *relay, enum outcome outcome);
/* Counts the attempt; its transfer is over. */
void attempt_ended(struct relay *relay, enum outcome outcome);
/* The same, but it keeps its place: another one follows at the same backend at once. */
void attempt_ended_for_another(struct relay *relay, enum outcome outcome);
void attempt_pause_if_full(struct relay *relay);

/* upload.c */
/* Has the transfer fetch the body from its start, `model` in the place of its own; NULL: as it is.
 */
void upload_describe(struct relay *relay, const char *model, struct transfer_request *request);
/* answer_head.c */
/* That of an answer which comes whole. */
enum outcome answer_outcome(unsigned status);
struct verdict answer_head(struct relay *relay, const struct transfer_head *head);

/* answer.c */
struct verdict answer_plain_data(struct relay *relay, struct str data);
/* `outcome` is that of the transfer, or of the status of an answer that came whole. */
struct verdict answer_plain_over(struct relay *relay, enum outcome outcome);
/* Replies with what was collected. */
void answer_plain_reply(struct relay *relay);

/* stream.c */
struct verdict stream_data(struct relay *relay, struct str data);
struct verdict stream_over(struct relay *relay, enum outcome outcome);
/* Tells the client by an event why the stream ends too early. */
void stream_tell(struct relay *relay, enum problem problem);
