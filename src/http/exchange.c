/* SPDX-License-Identifier: Apache-2.0 */
#include "http/exchange.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/connection.h"
#include "http/guard.h"

/* Beside timeouts.body, a body has a second for each of these. */
#define BODY_BYTES_PER_SEC 65536

/* Suspending and resuming cost a change of libmicrohttpd's epoll each and a read in vain, together
 * more than these looks: it pays only when an answer takes longer than a turn or two. */
#define LOOKS_BEFORE_SUSPENSION 4

/* From 1.0 on libmicrohttpd hides nothing of a head, so that the bytes need not be accounted. */
#define MHD_HIDES_HEAD_BYTES (MHD_VERSION < 0x01000000)

/* Before 1.0.5 it ends the lines of chunks at a lone LF, too. Whatever it then takes for the end of
 * the body, nothing behind it is read as a request. */
#define MHD_MISREADS_CHUNKS (MHD_VERSION < 0x01000500)

static struct exchange *exchange_new(struct connection *connection, const char *method)
{
	struct exchange *exchange = connection->target ? calloc(1, sizeof(*exchange)) : NULL;

	if (!exchange)
		return NULL;
	exchange->connection = connection;
	exchange->method = method;
	exchange->target = connection->target;
	exchange->arrival_ns = clock_monotonic_ns();
	exchange->faces = connection->faces;
	exchange->is_reserved = exchange->close_after = connection->is_reserved;
	exchange->refusal = PROBLEM_NONE;
	buf_init(&exchange->body, (size_t)connection->server->limits.max_body_bytes);
	buf_init(&exchange->outbox, 4 * EXCHANGE_HIGH_WATER_BYTES);
	connection->exchange = exchange;
	return exchange;
}

static void exchange_free(struct exchange *exchange)
{
	struct connection *connection = exchange->connection;

	connection->exchange = NULL;
	free(connection->target);
	connection->target = NULL;
	if (exchange->response)
		MHD_destroy_response(exchange->response);
	exchange_free_body(exchange);
	buf_done(&exchange->outbox);
	free(exchange);
}

void *exchange_uri_seen(void *context UNUSED, const char *uri, struct MHD_Connection *mhd)
{
	struct connection *connection = connection_of(mhd);

	/* Kept by the connection, not by an exchange: libmicrohttpd may still refuse the request by
	 * itself, and then nobody would be told to free it. NULL is no memory for the exchange. */
	if (connection) {
		connection->is_new = false;
		free(connection->target);
		connection->target = str_dup(str_of(uri));
		if (connection->phase == CONNECTION_IDLE)
			connection_enter(connection, CONNECTION_HEAD);
	}
	return NULL;
}

static enum MHD_Result see_header(void *context, enum MHD_ValueKind kind UNUSED, const char *name,
				  size_t name_bytes, const char *value, size_t value_bytes)
{
	guard_header(context, (struct str){name, name_bytes}, (struct str){value, value_bytes});
	return MHD_YES;
}

static size_t head_bytes(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info ? info->header_size : 0;
}

/* What is wrong with the head, PROBLEM_NONE for nothing. */
static enum problem judge_head(struct exchange *exchange, const char *url, const char *version)
{
	struct connection *connection = exchange->connection;
	const struct server *server = connection->server;
	size_t bytes = head_bytes(connection->mhd);
	struct guard_line line = {str_of(exchange->method), str_of(version),
				  str_of(exchange->target), MHD_HIDES_HEAD_BYTES ? url : NULL};
	struct guard guard;

	guard_begin(&guard, &line);
	MHD_get_connection_values_n(connection->mhd, MHD_HEADER_KIND, see_header, &guard);
	exchange->http_1_0 = guard.http_1_0;
	exchange->has_body = guard.n_codings > 0 || guard.content_length > 0;
	exchange->body_bytes = guard.n_codings > 0 ? -1 : (int64_t)guard.content_length;
	exchange->close_after |= MHD_MISREADS_CHUNKS && guard.chunked;
	switch (guard_end(&guard, bytes)) {
	case GUARD_BAD_FRAMING:
		return PROBLEM_BAD_FRAMING;
	case GUARD_UNSUPPORTED_CODING:
		return PROBLEM_UNSUPPORTED_TRANSFER_ENCODING;
	case GUARD_PASS:
		break;
	}
	if (bytes > server->max_header_bytes)
		return strlen(exchange->target) > server->max_header_bytes / 2
			       ? PROBLEM_URI_TOO_LONG
			       : PROBLEM_HEADERS_TOO_LARGE;
	if (guard.content_length > server->limits.max_body_bytes)
		return PROBLEM_PAYLOAD_TOO_LARGE;
	return PROBLEM_NONE;
}

static enum MHD_Result hand_over(struct exchange *exchange)
{
	struct connection *connection = exchange->connection;
	enum MHD_Result result = MHD_NO;

	if (exchange->aborted)
		return MHD_NO;
	if (exchange->response) {
		if (exchange->close_after || connection->server->draining || !connection->listener)
			MHD_add_response_header(exchange->response, "Connection", "close");
		exchange->reply_state = REPLY_HANDED_OVER;
		result = MHD_queue_response(connection->mhd, exchange->status, exchange->response);
		MHD_destroy_response(exchange->response);
		exchange->response = NULL;
	}
	/* No memory: nobody is to believe that the client left. */
	if (result != MHD_YES)
		connection_refuse(connection, PROBLEM_OVERLOADED);
	return result;
}

static enum MHD_Result begin(struct connection *connection, const char *method, const char *url,
			     const char *version, void **request_context)
{
	struct exchange *exchange = exchange_new(connection, method);
	enum problem refusal;

	if (!exchange) {
		connection_refuse(connection, PROBLEM_OVERLOADED);
		return MHD_NO;
	}
	*request_context = exchange;
	refusal = judge_head(exchange, url, version);
	connection_enter(connection, CONNECTION_BODY);
	connection->server->ops->begin(exchange, refusal);
	if (exchange->aborted)
		return MHD_NO;
	/* A reply handed over in this first call ends the connection: libmicrohttpd reads no
	 * further. */
	if (exchange->reply_state < REPLY_SENT || (!exchange->has_body && refusal == PROBLEM_NONE))
		return MHD_YES;
	/* The body, if there is one, stays unread: nothing may follow it on this connection. */
	exchange->close_after = true;
	exchange->request_complete = true;
	connection_enter(connection, CONNECTION_BUSY);
	return hand_over(exchange);
}

static bool is_watched(const struct exchange *exchange)
{
	return exchange->body_mode == BODY_WATCHED || exchange->body_mode == BODY_FLOWING;
}

/* Of `n` bytes that have come, how many are taken. Whether a body flows is decided when the window
 * is just full. */
static size_t taken_now(const struct exchange *exchange, size_t n)
{
	size_t held = exchange->body.len, room;

	if (!is_watched(exchange))
		return n;
	if (held >= EXCHANGE_BODY_WINDOW_BYTES)
		return exchange->body_mode == BODY_FLOWING ? 0 : n;
	room = EXCHANGE_BODY_WINDOW_BYTES - held;
	return n < room ? n : room;
}

int exchange_hold(struct exchange *exchange, size_t n)
{
	if (!census_hold(exchange->connection->server->census, n))
		return -ENOBUFS;
	exchange->held_bytes += n;
	return 0;
}

static int hold(struct exchange *exchange, struct str piece)
{
	int r = exchange_hold(exchange, piece.n);

	return r < 0 ? r : buf_append_str(&exchange->body, piece);
}

static int take(struct exchange *exchange, struct str piece)
{
	struct connection *connection = exchange->connection;
	int r = 0;

	if (piece.n > exchange->body.max - exchange->received_bytes)
		return -EMSGSIZE;
	if (exchange->body_mode != BODY_IGNORED)
		r = hold(exchange, piece);
	if (r < 0)
		return r;
	exchange->received_bytes += piece.n;
	connection->deadline_ns += piece.n * NS_PER_SEC / BODY_BYTES_PER_SEC;
	if (is_watched(exchange))
		connection->server->ops->received(exchange, piece);
	return 0;
}

static enum MHD_Result receive(struct exchange *exchange, const char *data, size_t *bytes)
{
	struct connection *connection = exchange->connection;
	struct str rest = {data, *bytes};
	size_t n = 0;
	int r = 0;

	*bytes = 0;
	if (connection->refused)
		return MHD_NO;
	connection_start_clock(connection);
	while (rest.n > 0 && r == 0 && (n = taken_now(exchange, rest.n)) > 0) {
		r = take(exchange, (struct str){rest.p, n});
		rest = (struct str){rest.p + n, rest.n - n};
	}
	if (r < 0) {
		/* Only a chunked body is too large here: an announced length was judged before. */
		connection_refuse(connection,
				  r == -EMSGSIZE ? PROBLEM_PAYLOAD_TOO_LARGE : PROBLEM_OVERLOADED);
		return MHD_NO;
	}
	*bytes = rest.n;
	/* It must not sleep over the end that it was woken for. */
	if (rest.n > 0 && connection->peer_gone)
		return MHD_NO;
	if (rest.n > 0) {
		/* It is not the client that is slow. */
		connection_stop_clock(connection);
		connection_suspend(connection);
	}
	return MHD_YES;
}

void exchange_watch_body(struct exchange *exchange)
{
	exchange->body_mode = BODY_WATCHED;
}

void exchange_let_body_flow(struct exchange *exchange)
{
	exchange->body_mode = BODY_FLOWING;
}

void exchange_drop_body(struct exchange *exchange, size_t n)
{
	buf_consume(&exchange->body, n);
	census_release(exchange->connection->server->census, n);
	exchange->held_bytes -= n;
	exchange->dropped_bytes += n;
	if (!exchange->request_complete)
		connection_wake(exchange->connection);
}

void exchange_free_body(struct exchange *exchange)
{
	exchange->dropped_bytes += exchange->body.len;
	buf_done(&exchange->body);
	census_release(exchange->connection->server->census, exchange->held_bytes);
	exchange->held_bytes = 0;
}

static enum MHD_Result complete(struct exchange *exchange)
{
	struct connection *connection = exchange->connection;

	if (!exchange->request_complete) {
		exchange->request_complete = true;
		connection_enter(connection, CONNECTION_BUSY);
		if (connection->peer_gone)
			exchange_client_left(exchange);
		else if (exchange->reply_state < REPLY_SENT || exchange->body_mode == BODY_FLOWING)
			connection->server->ops->request(exchange);
	}
	if (exchange->aborted)
		return MHD_NO;
	if (exchange->reply_state >= REPLY_SENT)
		return hand_over(exchange);
	/* libmicrohttpd asks again in its next run. */
	if (++exchange->looks > LOOKS_BEFORE_SUSPENSION)
		connection_suspend(connection);
	return MHD_YES;
}

enum MHD_Result exchange_handle(void *context UNUSED, struct MHD_Connection *mhd, const char *url,
				const char *method, const char *version, const char *upload_data,
				size_t *upload_data_size, void **request_context)
{
	struct exchange *exchange = *request_context;

	/* What was answered out of turn is counted, whatever has arrived since. */
	if (connection_of(mhd)->refused)
		return MHD_NO;
	if (!exchange)
		return begin(connection_of(mhd), method, url, version, request_context);
	if (*upload_data_size)
		return receive(exchange, upload_data, upload_data_size);
	return complete(exchange);
}

/* libmicrohttpd answers malformed chunks by itself, in the middle of a body. */
static bool was_refused_by_library(const struct exchange *exchange)
{
	return !exchange->request_complete && exchange->refusal == PROBLEM_NONE &&
	       MHD_get_connection_info(exchange->connection->mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
}

void exchange_completed(void *context, struct MHD_Connection *mhd UNUSED, void **request_context,
			enum MHD_RequestTerminationCode code)
{
	struct server *server = context;
	struct exchange *exchange = *request_context;
	struct connection *connection;
	bool delivered;

	if (!exchange)
		return;
	*request_context = NULL;
	connection = exchange->connection;
	if (was_refused_by_library(exchange))
		exchange->refusal = PROBLEM_BAD_FRAMING;
	/* Nothing moved for timeouts.idle: its socket is still open. */
	if (code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
		exchange_show_cut(exchange);
	if (code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED && !exchange->request_complete)
		connection_refuse(connection, PROBLEM_REQUEST_TIMEOUT);
	delivered =
		code == MHD_REQUEST_TERMINATED_COMPLETED_OK &&
		exchange->reply_state == REPLY_HANDED_OVER && !exchange->aborted &&
		(exchange->outbox_state == OUTBOX_NONE || exchange->outbox_state == OUTBOX_WHOLE);
	if (delivered && exchange->outbox_state == OUTBOX_NONE &&
	    strcmp(exchange->method, "HEAD") != 0)
		exchange->sent_bytes = exchange->reply_bytes;
	server->ops->end(exchange, delivered);
	exchange_free(exchange);
	connection_enter(connection, CONNECTION_IDLE);
	if (server->closes_idle)
		connection_close_idle(connection);
}

void exchange_client_left(struct exchange *exchange)
{
	if (exchange->request_complete && !exchange->aborted) {
		exchange->aborted = true;
		exchange->connection->server->ops->gone(exchange);
	}
}

void *exchange_context(const struct exchange *exchange)
{
	return exchange->connection->server->context;
}

struct str exchange_header(const struct exchange *exchange, const char *name)
{
	return str_of(
		MHD_lookup_connection_value(exchange->connection->mhd, MHD_HEADER_KIND, name));
}

/* Forgets the name when it is among those that Connection tells. */
static enum MHD_Result see_connection(void *context, enum MHD_ValueKind kind UNUSED,
				      const char *header, const char *value)
{
	struct str *name = context;

	if (str_eq_nocase(str_of(header), STR_LITERAL("Connection")) &&
	    str_list_has(str_of(value), *name))
		*name = (struct str){NULL, 0};
	return MHD_YES;
}

bool exchange_is_hop_header(const struct exchange *exchange, const char *name)
{
	struct str left = str_of(name);

	MHD_get_connection_values(exchange->connection->mhd, MHD_HEADER_KIND, see_connection,
				  &left);
	return !left.p;
}
