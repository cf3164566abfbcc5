/* SPDX-License-Identifier: Apache-2.0 */
/* The reply's half of exchange.h: what the upper layer sends, and how libmicrohttpd fetches it. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "http/connection.h"
#include "http/exchange.h"

/* What libmicrohttpd fetches at a time of a body whose length is known. */
#define BLOCK_BYTES 16384

static int reply(struct exchange *exchange, unsigned status, void *body, size_t length,
		 enum MHD_ResponseMemoryMode mode)
{
	assert(exchange->reply_state == REPLY_NONE);
	exchange->reply_state = REPLY_MADE;
	exchange->status = status;
	exchange->reply_bytes = length;
	exchange->response = MHD_create_response_from_buffer(length, body, mode);
	return exchange->response ? 0 : -ENOMEM;
}

int exchange_reply_full(struct exchange *exchange, unsigned status, char *body, size_t length)
{
	int r = reply(exchange, status, body, length, MHD_RESPMEM_MUST_FREE);

	if (r < 0)
		free(body);
	return r;
}

int exchange_reply_shared(struct exchange *exchange, unsigned status, const struct buf *body)
{
	return reply(exchange, status, body->data, body->len, MHD_RESPMEM_PERSISTENT);
}

static ssize_t read_outbox(void *context, uint64_t position UNUSED, char *out, size_t max)
{
	struct exchange *exchange = context;
	struct server *server = exchange->connection->server;
	size_t n;

	if (exchange->wants_drain && exchange->outbox.len < EXCHANGE_LOW_WATER_BYTES) {
		exchange->wants_drain = false;
		server->rested_ns = loop_now_ns(server->loop);
		server->ops->drained(exchange);
	}
	n = exchange->outbox.len < max ? exchange->outbox.len : max;
	if (exchange->aborted)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n == 0) {
		if (exchange->outbox_state == OUTBOX_WHOLE)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (exchange->outbox_state == OUTBOX_CUT)
			exchange_show_cut(exchange);
		if (exchange->outbox_state != OUTBOX_OPEN)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		connection_suspend(exchange->connection);
		return 0;
	}
	memcpy(out, exchange->outbox.data, n);
	buf_consume(&exchange->outbox, n);
	exchange->sent_bytes += n;
	if (exchange->mark_at && !exchange->marked_ns && exchange->sent_bytes >= exchange->mark_at)
		exchange->marked_ns = clock_monotonic_ns();
	return (ssize_t)n;
}

int exchange_reply_stream(struct exchange *exchange, unsigned status, int64_t length)
{
	/* A chunked body is fetched into the connection's own pool: the block is not used. */
	size_t block = length < 0 && !exchange->http_1_0 ? 1 : BLOCK_BYTES;

	assert(exchange->reply_state == REPLY_NONE);
	exchange->reply_state = REPLY_MADE;
	exchange->status = status;
	exchange->outbox_state = OUTBOX_OPEN;
	exchange->ends_by_close = length < 0 && exchange->http_1_0;
	exchange->response =
		MHD_create_response_from_callback(length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)length,
						  block, read_outbox, exchange, NULL);
	return exchange->response ? 0 : -ENOMEM;
}

int exchange_add_header(struct exchange *exchange, const char *name, const char *value)
{
	if (!exchange->response)
		return -ENOMEM;
	return MHD_add_response_header(exchange->response, name, value) == MHD_YES ? 0 : -EINVAL;
}

void exchange_close_after(struct exchange *exchange)
{
	exchange->close_after = true;
}

/* Nobody wants the rest of the request. */
static void ignore_body(struct exchange *exchange)
{
	if (exchange->request_complete)
		return;
	exchange->body_mode = BODY_IGNORED;
	exchange_free_body(exchange);
}

void exchange_send(struct exchange *exchange)
{
	assert(exchange->reply_state == REPLY_MADE);
	exchange->reply_state = REPLY_SENT;
	if (exchange->outbox_state == OUTBOX_NONE)
		ignore_body(exchange);
	/* Suspended or not: exchange_handle() is called (again) and hands it over. */
	connection_wake(exchange->connection);
}

int exchange_write(struct exchange *exchange, struct str bytes)
{
	int r = buf_append_str(&exchange->outbox, bytes);

	if (r < 0)
		return r;
	if (exchange->outbox.len >= EXCHANGE_HIGH_WATER_BYTES)
		exchange->wants_drain = true;
	connection_wake(exchange->connection);
	return 0;
}

void exchange_mark(struct exchange *exchange)
{
	if (!exchange->mark_at)
		exchange->mark_at = exchange->sent_bytes + exchange->outbox.len;
}

size_t exchange_outbox_bytes(const struct exchange *exchange)
{
	return exchange->outbox.len;
}

void exchange_ask_drained(struct exchange *exchange)
{
	exchange->wants_drain = true;
}

void exchange_finish(struct exchange *exchange, enum outbox_state end)
{
	ignore_body(exchange);
	exchange->outbox_state = end;
	exchange->wants_drain = false;
	connection_wake(exchange->connection);
}

/* SO_LINGER would reset it only when it is closed, and libmicrohttpd shuts it down before. What is
 * no TCP has no reset, and is left as it is. */
void exchange_show_cut(const struct exchange *exchange)
{
	static const struct sockaddr none = {.sa_family = AF_UNSPEC};

	if (exchange->ends_by_close && exchange->reply_state == REPLY_HANDED_OVER)
		(void)!connect(exchange->connection->fd, &none, sizeof(none));
}

void exchange_abort(struct exchange *exchange)
{
	exchange->aborted = true;
	connection_break(exchange->connection);
}
