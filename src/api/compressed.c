/* SPDX-License-Identifier: Apache-2.0 */
#include "api/compressed.h"

#include <stdlib.h>
#include <string.h>

#include "export/gzip.h"
#include "export/negotiate.h"

enum {
	WORTH_BYTES = 8192,           /* less fits few packets as it is */
	TURN_BYTES = 65536,           /* deflated at a time: well below a millisecond */
	PIECE_BYTES = 2 * TURN_BYTES, /* what does not shrink grows a little */
};

struct compressed {
	struct exchange *exchange;
	struct gzip *gzip;
	struct buf body;  /* what was not deflated yet */
	struct buf piece; /* scratch */
};

bool compressed_is_wanted(const struct exchange *exchange, const struct buf *body)
{
	/* libmicrohttpd before 1.0 ends even an empty answer to HEAD with a last chunk, which would
	 * be taken for the next answer. */
	return body->len > WORTH_BYTES && strcmp(exchange->method, "HEAD") != 0 &&
	       negotiate_gzip(exchange_header(exchange, "Accept-Encoding"));
}

struct compressed *compressed_new(struct exchange *exchange, unsigned status, struct buf *body)
{
	struct compressed *compressed = calloc(1, sizeof(*compressed));

	if (!compressed)
		return NULL;
	compressed->exchange = exchange;
	compressed->gzip = gzip_new();
	if (!compressed->gzip)
		return compressed_free(compressed);
	/* Without memory for it the exchange ends undelivered, as with any reply. */
	(void)!exchange_reply_stream(exchange, status, -1);
	buf_init(&compressed->piece, PIECE_BYTES);
	compressed->body = *body;
	buf_init(body, body->max);
	exchange_ask_drained(exchange);
	return compressed;
}

struct compressed *compressed_free(struct compressed *compressed)
{
	if (!compressed)
		return NULL;
	gzip_free(compressed->gzip);
	buf_done(&compressed->body);
	buf_done(&compressed->piece);
	free(compressed);
	return NULL;
}

void compressed_drained(struct compressed *compressed)
{
	struct buf *body = &compressed->body;
	size_t n = body->len < TURN_BYTES ? body->len : TURN_BYTES;
	bool last = n == body->len;

	buf_clear(&compressed->piece);
	if (gzip_write(compressed->gzip, (struct str){body->data, n}, last, &compressed->piece) <
		    0 ||
	    exchange_write(compressed->exchange, buf_str(&compressed->piece)) < 0) {
		exchange_abort(compressed->exchange);
		return;
	}
	buf_consume(body, n);
	if (last)
		exchange_finish(compressed->exchange, true);
	else
		exchange_ask_drained(compressed->exchange);
}
