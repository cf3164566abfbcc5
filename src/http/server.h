/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker's HTTP server: a libmicrohttpd daemon in external epoll mode inside the worker's
 * loop. It takes connections from the listeners, judges and reads requests, and calls upwards
 * through `struct http_ops`. Worker-local.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/problem.h"
#include "base/str.h"
#include "loop/loop.h"

struct census;
struct exchange;
struct listener;
struct server;

/* CEILING_CONNECTIONS: of all, beyond which is the reserve; _PER_ADDRESS: beyond which is nothing.
 */
enum http_ceiling { CEILING_CONNECTIONS, CEILING_PER_ADDRESS, N_CEILINGS };

struct http_ops {
	/* The head has arrived and nothing of a body was read. `refusal` is what the server found
	 * wrong with it, PROBLEM_NONE for nothing. A reply sent from here ends the request. */
	void (*begin)(struct exchange *exchange, enum problem refusal);
	/* A piece was added to the body; only after exchange_watch_body(). May reply. */
	void (*received)(struct exchange *exchange, struct str piece);
	/* The whole body is there. May reply at once or later. Not called when begin replied,
	 * nor when the reply to a body that flows is whole. */
	void (*request)(struct exchange *exchange);
	/* The stream's queue is below the low-water mark and the client takes more. */
	void (*drained)(struct exchange *exchange);
	/* The client left after its request was complete, and nothing can be sent any more. What is
	 * under way for it should stop; `end` follows. */
	void (*gone)(struct exchange *exchange);
	/* The time to finish is over. What is under way should end now, with a reply if none was
	 * sent yet. */
	void (*overdue)(struct exchange *exchange);
	/* The request is over, exactly once for each begin, and the exchange freed afterwards.
	 * `delivered`: the reply was handed to the socket to its last byte. */
	void (*end)(struct exchange *exchange, bool delivered);
	/* A connection was refused out of turn before its head was complete. */
	void (*refused)(void *context, enum problem problem);
	/* +1 for an accepted connection, -1 for a closed one. */
	void (*connections)(void *context, int delta);
	/* A connection came beyond a ceiling: it got a place in the reserve, or was turned away. */
	void (*crowded)(void *context, enum http_ceiling ceiling);
};

struct server_options {
	struct loop *loop;
	const struct http_ops *ops;
	void *context;         /* for ops, see exchange_context() */
	struct census *census; /* of all servers; outlives them */
	/* libmicrohttpd is told of these once. */
	uint64_t max_header_bytes, idle_ns;
};

/* What a reload may change; times in ns. */
struct server_limits {
	uint64_t max_body_bytes;
	uint64_t head_ns, body_ns;
};

/* NULL when libmicrohttpd will not start or memory is out. */
struct server *server_new(const struct server_options *options,
			  const struct server_limits *limits) MUST_CHECK;
/* Closes what is still open; the exchanges' `end` is called. Accepts NULL, returns NULL. */
struct server *server_free(struct server *server);
void server_set_limits(struct server *server, const struct server_limits *limits);

/* Accepts from these listeners and from no others, with a reference to each. Connections of those
 * given up may bring one more request each. -ENOMEM or -errno: not from all of them. */
int server_set_listeners(struct server *server, struct listener *const *listeners,
			 size_t n) MUST_CHECK;

/* Accepts what is already queued, then no more; closes idle connections, lets running exchanges
 * finish and closes theirs after them. */
void server_drain(struct server *server);
/* The same, but idle connections may bring one more request each: a client that sends one just now
 * gets its answer. */
void server_retire(struct server *server);
/* Tells every running exchange that it is overdue. */
void server_hurry(struct server *server);
size_t server_connection_count(const struct server *server);

/* "0.9.75" */
const char *server_library_version(void);
