/* SPDX-License-Identifier: Apache-2.0 */
#include "api/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "export/gzip.h"
#include "export/negotiate.h"

struct pieces {
	struct exchange *exchange;
	struct pieces_source source; /* `next` is NULL when all was made */
	struct gzip *gzip;           /* NULL: sent as they are */
	struct buf body;             /* what was made and not sent yet */
	struct buf deflated;         /* scratch */
};

bool pieces_fit(const struct exchange *exchange)
{
	/* libmicrohttpd before 1.0 ends even an empty answer to HEAD with a last chunk, which would
	 * be taken for the next answer. */
	return strcmp(exchange->method, "HEAD") != 0;
}

static void free_source(struct pieces *pieces)
{
	if (pieces->source.next)
		pieces->source.free(pieces->source.context);
	pieces->source.next = NULL;
}

struct pieces *pieces_new(struct exchange *exchange, struct buf *body,
			  const struct pieces_source *source)
{
	struct pieces *pieces = calloc(1, sizeof(*pieces));

	if (!pieces) {
		buf_done(body);
		if (source)
			source->free(source->context);
		return NULL;
	}
	pieces->exchange = exchange;
	if (source)
		pieces->source = *source;
	pieces->body = *body;
	buf_init(body, body->max);
	/* What does not shrink grows a little. */
	buf_init(&pieces->deflated, 2 * (size_t)PIECE_BYTES);
	if (negotiate_gzip(exchange_header(exchange, "Accept-Encoding"))) {
		pieces->gzip = gzip_new();
		if (!pieces->gzip)
			return pieces_free(pieces);
	}
	/* Without memory for it the exchange ends undelivered, as with any reply. */
	(void)!exchange_reply_stream(exchange, 200, -1);
	exchange_ask_drained(exchange);
	return pieces;
}

struct pieces *pieces_free(struct pieces *pieces)
{
	if (!pieces)
		return NULL;
	free_source(pieces);
	gzip_free(pieces->gzip);
	buf_done(&pieces->body);
	buf_done(&pieces->deflated);
	free(pieces);
	return NULL;
}

bool pieces_are_deflated(const struct pieces *pieces)
{
	return pieces->gzip;
}

static int fill(struct pieces *pieces)
{
	int r;

	if (pieces->body.len >= PIECE_BYTES || !pieces->source.next)
		return 0;
	r = pieces->source.next(pieces->source.context, &pieces->body);
	if (r == 0)
		free_source(pieces);
	return r;
}

static int send_piece(struct pieces *pieces, struct str piece, bool last)
{
	int r;

	if (!pieces->gzip)
		return exchange_write(pieces->exchange, piece);
	buf_clear(&pieces->deflated);
	r = gzip_write(pieces->gzip, piece, last, &pieces->deflated);
	return r < 0 ? r : exchange_write(pieces->exchange, buf_str(&pieces->deflated));
}

void pieces_drained(struct pieces *pieces)
{
	struct buf *body = &pieces->body;
	int r = fill(pieces);
	size_t n = body->len < PIECE_BYTES ? body->len : PIECE_BYTES;
	bool last = n == body->len && !pieces->source.next;

	if (r >= 0)
		r = send_piece(pieces, (struct str){body->data, n}, last);
	if (r < 0) {
		exchange_abort(pieces->exchange);
		return;
	}
	buf_consume(body, n);
	if (last)
		exchange_finish(pieces->exchange, OUTBOX_WHOLE);
	else
		exchange_ask_drained(pieces->exchange);
}
