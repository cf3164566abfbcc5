/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its reply on one connection. Owned by the server: made when the head has
 * arrived, freed after http_ops.end. Worker-local, like all of http/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "http/server.h"

/* A stream's outbox: the producer should pause above the high mark; http_ops.drained says when the
 * client asks for more and less than the low one is left. */
#define EXCHANGE_HIGH_WATER_BYTES (256u * 1024)
#define EXCHANGE_LOW_WATER_BYTES  (64u * 1024)

/* Of a body that is handed on while it comes so much is held; then the client waits. */
#define EXCHANGE_BODY_WINDOW_BYTES (256u * 1024)

struct connection;
struct MHD_Response;

enum body_mode {
	BODY_COLLECTED,
	BODY_WATCHED, /* the same, and each piece is told */
	BODY_FLOWING, /* no more than the window is held */
	BODY_IGNORED, /* nobody wants the rest */
};

/* How far it has come, in this order. */
enum reply_state {
	REPLY_NONE,
	REPLY_MADE,        /* it gets its headers */
	REPLY_SENT,        /* libmicrohttpd may have it when it asks */
	REPLY_HANDED_OVER, /* it has it */
};

enum outbox_state {
	OUTBOX_NONE, /* the reply is no stream */
	OUTBOX_OPEN,
	OUTBOX_WHOLE,    /* no more follows */
	OUTBOX_CUT,      /* nor does an end that would pass it off as complete */
	OUTBOX_CUT_TOLD, /* the same, and the last of it says so */
};

struct exchange {
	const char *method;  /* libmicrohttpd's, as received */
	const char *target;  /* as received, query included */
	bool http_1_0;       /* the client understands no chunks */
	bool has_body;       /* the head announced one */
	uint64_t arrival_ns; /* of the complete head, on loop_now_ns()'s scale */
	unsigned faces;      /* of the listener */
	bool is_reserved;    /* came beyond limits.max_connections: for who watches, not for work */
	int64_t body_bytes;  /* as the head announced them; -1: in chunks */
	struct buf body;     /* of the request; without what was dropped of its front */
	uint64_t received_bytes, dropped_bytes; /* of the body */
	void *user;                             /* the upper layer's */

	/* the server's own */
	struct connection *connection;
	struct MHD_Response *response;
	unsigned status;
	enum problem refusal; /* how it was refused out of turn, PROBLEM_NONE when not */
	struct buf outbox;    /* of a stream: what libmicrohttpd has not fetched yet */
	uint64_t reply_bytes; /* of a reply that is no stream */
	uint64_t sent_bytes;  /* of the reply's body; final in http_ops.end */
	uint64_t mark_at;     /* exchange_mark(): so many bytes into the stream; 0 none */
	uint64_t marked_ns;   /* when they were handed to the socket; 0 not yet */
	uint64_t held_bytes;  /* of the body and its copy, out of what all bodies may take */
	unsigned looks;       /* how often libmicrohttpd has asked for the reply in vain */
	enum body_mode body_mode;
	enum reply_state reply_state;
	enum outbox_state outbox_state;
	bool request_complete, wants_drain, aborted, close_after;
	bool ends_by_close; /* a stream of unknown length to who understands no chunks */
};

/* http_ops' context, of the server the exchange runs on. */
void *exchange_context(const struct exchange *exchange);
/* The value of a request header, borrowed until the end; {NULL, 0} when absent. */
struct str exchange_header(const struct exchange *exchange, const char *name);
/* Is a header of this name for nexusd only, as Connection says (RFC 9110, section 7.6.1)? */
bool exchange_is_hop_header(const struct exchange *exchange, const char *name);

/* In http_ops.begin: http_ops.received is to tell of each piece of the body. */
void exchange_watch_body(struct exchange *exchange);
/* In http_ops.received: the rest of the body is handed on while it comes. From now on no more than
 * the window is held. */
void exchange_let_body_flow(struct exchange *exchange);
/* Drops bytes off the front of the body, so that as many can come. */
void exchange_drop_body(struct exchange *exchange, size_t n);
/* Frees the body, and gives back its room and that of its copy: nobody looks at them any more. */
void exchange_free_body(struct exchange *exchange);
/* Counts a copy of the body, until that is freed, among what all bodies may take. 0, or
 * -ENOBUFS: there is no room. */
int exchange_hold(struct exchange *exchange, size_t n) MUST_CHECK;

/*
 * A reply: one exchange_reply_*(), then its headers, then exchange_send(). Each may fail for want
 * of memory and returns -ENOMEM; the exchange then ends undelivered, by a closed connection.
 * While the body is still coming the reply waits for its end; what comes once the reply is whole
 * is not kept.
 */

/* Takes `body` (malloc'ed, may be NULL when length is 0) over, also on failure. */
int exchange_reply_full(struct exchange *exchange, unsigned status, char *body, size_t length);
/* The same with a body that stays the caller's, who keeps it until http_ops.end. */
int exchange_reply_shared(struct exchange *exchange, unsigned status, const struct buf *body);
/* The body comes by exchange_write(); `length` -1 when unknown (chunked). */
int exchange_reply_stream(struct exchange *exchange, unsigned status, int64_t length);
/* Refuses (-EINVAL) what is no field by RFC 9110; the reply is then sent without it. */
int exchange_add_header(struct exchange *exchange, const char *name, const char *value);
/* The connection ends after this reply. */
void exchange_close_after(struct exchange *exchange);
void exchange_send(struct exchange *exchange);

/* Appends to the stream's outbox. -ENOMEM, -EMSGSIZE past the ceiling (4 times the high mark). */
int exchange_write(struct exchange *exchange, struct str bytes) MUST_CHECK;
size_t exchange_outbox_bytes(const struct exchange *exchange);
/* From what has been written so far the time of its handing over is wanted, in marked_ns. Only the
 * first mark of a stream counts. */
void exchange_mark(struct exchange *exchange);
/* Asks for http_ops.drained although the high mark was not reached: for a producer that makes a
 * piece whenever the client can take one. It is called once; it must write, finish or abort. */
void exchange_ask_drained(struct exchange *exchange);
/* No more follows; `end` is none of the first two. Not OUTBOX_WHOLE: the outbox is sent, then the
 * connection closed, on HTTP/1.0 reset unless that would lose what tells it. */
void exchange_finish(struct exchange *exchange, enum outbox_state end);
/* Ends it at once without a reply. */
void exchange_abort(struct exchange *exchange);
