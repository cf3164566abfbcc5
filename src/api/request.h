/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as the handlers see it: the exchange, the route, the route table it began with, and
 * how it ended. Made in http_ops.begin, freed in http_ops.end (api.c). Internal to api/ and to
 * steps.
 */
#pragma once

#include "api/api.h"
#include "api/model_request.h"
#include "api/request_id.h"
#include "base/problem.h"
#include "base/trace.h"
#include "http/exchange.h"
#include "loop/waiter.h"

struct control_call;
struct multipart;
struct pieces_source;
struct relay;
struct request;

enum route_flags {
	ROUTE_NONE = 0,
	ROUTE_MODEL = 1,
	ROUTE_PATTERN = 2,
	ROUTE_SETTING = 4,
	ROUTE_PASSED = 8,
	ROUTE_FORM = 16,
	ROUTE_WATCH = 32,
	ROUTE_USAGE = 64
};

struct route {
	const char *method, *path;
	unsigned face; /* 0: any */
	unsigned flags;
	void (*handler)(struct request *request);
};

enum route_id {
#define ROUTE(id, method, path, face, flags, handler, help) ROUTE_ID_##id,
#include "api/routes.def"
#undef ROUTE
	N_ROUTES
};

/* The handlers: each replies to the request, at once or later. */
#define ROUTE(id, method, path, face, flags, handler, help) void handler(struct request *request);
#include "api/routes.def"
#undef ROUTE

/* A route table as one worker holds it: its requests are counted here, without an atomic. */
struct table_use {
	struct route_table *table; /* one reference for all of them */
	struct buf models;         /* GET /v1/models, written for the first one that asks */
	size_t n_requests;
	bool retired;
};

/* When a request for a model got how far, on clock_monotonic_ns()'s scale; 0: not yet. */
struct request_times {
	uint64_t complete_ns; /* all of it had arrived; 0, too, when it was sent on before */
	uint64_t parsed_ns;   /* its body was understood */
	uint64_t routed_ns;   /* the first attempt began */
	uint64_t upstream_ns; /* so long backends had it */
	uint64_t waited_ns;   /* so long it waited for a place, or to ask a backend again */
};

struct request {
	struct api *api;
	struct exchange *exchange;
	const struct route *route; /* NULL when nothing matched */
	struct str path;           /* of the target, without the query */
	struct str query;
	struct str argument; /* what {id} stands for in the path; of a route with ROUTE_PATTERN */
	struct table_use *use;
	const struct route_table *table; /* use->table */
	char id[REQUEST_ID_MAX + 1];

	/* how it ended; metrics and the log read them in request_end() */
	unsigned status; /* the outcome, not always the code sent; 0 undecided */
	enum error_type error_type;
	uint64_t retry_after_seconds; /* 0: as soon as one likes */
	struct bundle *bundle;        /* whose series count it; NULL (_unknown, none) */
	const char *backend, *model;  /* for errors_total and the log; NULL unknown */

	struct model_request wanted; /* of a request for a model */
	struct multipart *form;      /* what its body is scanned with; NULL: JSON */
	struct request_times times;
	struct trace_id trace; /* request_trace() reads it */
	bool trace_is_read;
	size_t next_step;
	struct waiter *waiter;
	struct control_call *call; /* that it waits for, or NULL */
	struct relay *relay;
	struct pieces *pieces;       /* a document that is sent piece by piece; NULL */
	struct list rendering;       /* in api->renderings */
	uint64_t rendering_moved_ns; /* when its reader last took some of it */
};

/* Replies with a row of problem.def. `message`, `param`, `context` as in problem_write(). */
void request_problem(struct request *request, enum problem problem, const char *message,
		     const char *param, const struct buf *context);
/* The same without sending it, for who adds headers. */
void request_make_problem(struct request *request, enum problem problem, const char *message,
			  const char *param, const struct buf *context);
/* Replies with a document; `body` is emptied. A failed `error` (of its writer) becomes a 503. */
void request_document(struct request *request, unsigned status, const char *content_type,
		      struct buf *body, int error);
/* The same with a body that lives as long as the request's hold on its route table. */
void request_shared_document(struct request *request, const char *content_type,
			     const struct buf *body);
/* The same for what changes with every look, and may be large: 200, sent in pieces, compressed if
 * the client likes, and caches keep out of it. `rest`, taken over, is where what `body` begins goes
 * on; NULL when it is whole. */
void request_uncached_document(struct request *request, const char *content_type, struct buf *body,
			       const struct pieces_source *rest, int error);
/* Whether one of the parts of the query, which stand between ampersands, is `part`. */
bool request_query_has(const struct request *request, struct str part);
/* Of its traceparent header; 0 when there is none that is valid. Read on first use. */
struct trace_id request_trace(struct request *request);
/* Headers every reply carries. */
void request_common_headers(struct request *request);
