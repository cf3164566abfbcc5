/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document on its way to a client in gzip: deflated a piece at a time, each when the client's
 * connection asks for more, so that no other request waits for all of it. Owned by its request.
 */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "http/exchange.h"

struct compressed;

/* Whether the client takes gzip and the document is worth it; never for HEAD. */
bool compressed_is_wanted(const struct exchange *exchange, const struct buf *body);
/* Begins the reply; the caller adds headers and sends it. `body` is emptied. NULL for no memory,
 * and then nothing has happened. */
struct compressed *compressed_new(struct exchange *exchange, unsigned status,
				  struct buf *body) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct compressed *compressed_free(struct compressed *compressed);
/* The connection asks for more. */
void compressed_drained(struct compressed *compressed);
