/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document on its way to a client: made, and deflated for those that like it, a piece at a time,
 * each when the client's connection asks for more, so that no other request waits for all of it.
 * Owned by its request.
 */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "http/exchange.h"

/* Made and sent in some 30 us; less fits few packets as it is. */
#define PIECE_BYTES 16384

/* Where the rest of a document comes from. */
struct pieces_source {
	/* Appends a piece: 1 when there is more, 0 when that was the last, -errno. */
	int (*next)(void *context, struct buf *out);
	void (*free)(void *context);
	void *context;
};

struct pieces;

/* Whether the reply may come in pieces. */
bool pieces_fit(const struct exchange *exchange);
/* Begins the reply; the caller adds headers and sends it. `body`, what is there already, is emptied
 * and `source` (NULL: that is all) taken over, both also on failure. NULL for no memory, and then
 * there is no reply. */
struct pieces *pieces_new(struct exchange *exchange, struct buf *body,
			  const struct pieces_source *source) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct pieces *pieces_free(struct pieces *pieces);
bool pieces_are_deflated(const struct pieces *pieces);
/* The connection asks for more. */
void pieces_drained(struct pieces *pieces);
