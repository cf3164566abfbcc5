/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct relay, for relay.c and what it is made of: attempt.c, answer.c,
 * stream.c. */
#pragma once

#include "api/api_state.h"
#include "api/record.h"
#include "api/relay.h"
#include "route/attempts.h"
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
	struct buf body; /* what is sent when it differs from the client's */
	struct timer backoff, deadline;

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
	bool stream_done;     /* [DONE] came */
	bool stream_finished; /* a finish_reason came */
	bool stream_failed;   /* an error event came */
	bool stream_stuck;    /* the client's queue is full or memory out */
	unsigned n_attempts;
	struct usage usage;
	struct transfer_trace trace;                /* of the attempt that ended last */
	uint64_t first_content_ns, last_content_ns; /* of a stream; 0 none */
	uint64_t attempt_began_ns, head_ns;         /* of the attempt; 0: no head yet */
	uint64_t upstream_ns;                       /* waited for backends */
};

/* relay.c */
/* The backend's answer becomes the request's: labels, outcome, error type. */
void relay_commit(struct relay *relay);
/* Nobody's answer is sent: replies with an error that tells what was tried. */
void relay_give_up(struct relay *relay, enum problem problem);
/* The error for a request that attempts_next() gave nothing for. */
enum problem relay_problem(const struct relay *relay, enum attempts_verdict verdict);

/* attempt.c */
/* Chooses a backend and starts on it, at once or after a wait; or gives up. */
void attempt_next(struct relay *relay);
/* Starts on relay->candidate. */
void attempt_start(struct relay *relay);
/* Starts on the same backend again without asking for the usage. */
void attempt_without_usage(struct relay *relay);
/* Ends the transfer under way, if any; attempt_ended() must follow. */
void attempt_cancel(struct relay *relay);
/* Counts the attempt; its transfer is over. */
void attempt_ended(struct relay *relay, enum outcome outcome);
/* It came to nothing: counts it and goes on to the next. */
void attempt_failed(struct relay *relay, enum outcome outcome);
void attempt_pause_if_full(struct relay *relay);

static inline struct loop *relay_loop(const struct relay *relay)
{
	return relay->request->api->in.loop;
}

/* answer.c */
/* Keeps what may be passed on of the head, and replies with it. */
int answer_keep_headers(struct relay *relay, const struct transfer_head *head) MUST_CHECK;
void answer_add_headers(const struct relay *relay);
void answer_plain_data(struct relay *relay, struct str data);
void answer_plain_done(struct relay *relay, enum outcome outcome);
/* What a JSON document says of usage; false when it is no JSON. */
bool answer_read_usage(struct str text, struct usage *ret_usage);

/* stream.c */
void stream_begin(struct relay *relay);
void stream_data(struct relay *relay, struct str data);
void stream_over(struct relay *relay, enum outcome outcome);
