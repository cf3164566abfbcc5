/* SPDX-License-Identifier: Apache-2.0 */
#include "api/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api_state.h"
#include "api/cors.h"
#include "api/pieces.h"
#include "api/router.h"
#include "base/jsonx.h"

struct trace_id request_trace(struct request *request)
{
	if (!request->trace_is_read)
		(void)!trace_parse(exchange_header(request->exchange, "traceparent"),
				   &request->trace);
	request->trace_is_read = true;
	return request->trace;
}

bool request_query_has(const struct request *request, struct str part)
{
	struct str rest = request->query;

	while (rest.p)
		if (str_eq(str_split(&rest, '&'), part))
			return true;
	return false;
}

void request_common_headers(struct request *request)
{
	/* One that memory or the grammar refuses is left out: the answer matters more. */
	(void)!exchange_add_header(request->exchange, "X-Request-Id", request->id);
	cors_add_headers(request);
}

static void add_headers(struct request *request, const char *content_type)
{
	(void)!exchange_add_header(request->exchange, "Content-Type", content_type);
	request_common_headers(request);
}

static void send_document(struct request *request, unsigned status, const char *content_type,
			  struct buf *body)
{
	struct exchange *exchange = request->exchange;

	request->status = status;
	if (!request->pieces) {
		size_t length = 0;
		char *text = buf_take(body, &length);

		(void)!exchange_reply_full(exchange, status, text, length);
	}
	buf_done(body);
	add_headers(request, content_type);
}

static void add_number_header(struct request *request, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	(void)!exchange_add_header(request->exchange, name, text);
}

static void add_allow_header(struct request *request)
{
	char allowed[ROUTER_ALLOWED_MAX];

	router_allowed(request->route, allowed);
	(void)!exchange_add_header(request->exchange, "Allow", allowed);
}

void request_make_problem(struct request *request, enum problem problem, const char *message,
			  const char *param, const struct buf *context)
{
	const struct problem_row *row = problem_row(problem);
	struct buf body;

	buf_init(&body, 256u * 1024);
	/* What does not fit is told without its context; without memory the close says it. */
	if (problem_write(&body, problem, message, param, context) < 0) {
		buf_clear(&body);
		(void)!problem_write(&body, problem, NULL, NULL, NULL);
	}
	send_document(request, row->status, "application/json", &body);
	request->error_type = row->error_type;
	if (row->flags & PROBLEM_FLAG_RETRY)
		add_number_header(request, "Retry-After",
				  request->retry_after_seconds ? request->retry_after_seconds : 1);
	if (row->flags & PROBLEM_FLAG_CLOSE)
		exchange_close_after(request->exchange);
	if (problem == PROBLEM_METHOD_NOT_ALLOWED)
		add_allow_header(request);
}

void request_problem(struct request *request, enum problem problem, const char *message,
		     const char *param, const struct buf *context)
{
	request_make_problem(request, problem, message, param, context);
	exchange_send(request->exchange);
}

/* Replies that it cannot be made, if its writer failed. */
static bool refuse_unmade(struct request *request, struct buf *body, int error)
{
	if (error >= 0)
		return false;
	buf_done(body);
	request_problem(request, PROBLEM_OVERLOADED, NULL, NULL, NULL);
	return true;
}

void request_document(struct request *request, unsigned status, const char *content_type,
		      struct buf *body, int error)
{
	if (refuse_unmade(request, body, error))
		return;
	send_document(request, status, content_type, body);
	exchange_send(request->exchange);
}

void request_shared_document(struct request *request, const char *content_type,
			     const struct buf *body)
{
	request->status = 200;
	(void)!exchange_reply_shared(request->exchange, request->status, body);
	add_headers(request, content_type);
	exchange_send(request->exchange);
}

void request_uncached_document(struct request *request, const char *content_type, struct buf *body,
			       const struct pieces_source *rest, int error)
{
	struct exchange *exchange = request->exchange;

	if (error >= 0 && (rest || (body->len > PIECE_BYTES && pieces_fit(exchange)))) {
		request->pieces = pieces_new(exchange, body, rest);
		error = request->pieces ? 0 : -ENOMEM;
	}
	if (refuse_unmade(request, body, error))
		return;
	send_document(request, 200, content_type, body);
	if (request->pieces && pieces_are_deflated(request->pieces))
		(void)!exchange_add_header(exchange, "Content-Encoding", "gzip");
	(void)!exchange_add_header(exchange, "Cache-Control", "no-store");
	(void)!exchange_add_header(exchange, "Vary", "Accept, Accept-Encoding");
	exchange_send(exchange);
}
