/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gzip stream (RFC 1952) that is written piece by piece, fast rather than small: each piece comes
 * out whole, so that nothing has to be held back. Owned by its user, one thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"

struct gzip;

/* NULL for no memory. */
struct gzip *gzip_new(void) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct gzip *gzip_free(struct gzip *gzip);
/* Appends `input` deflated to `out`, at least a byte of it; `last` ends the stream. -ENOMEM,
 * -EMSGSIZE of the buffer; the stream is then broken. */
int gzip_write(struct gzip *gzip, struct str input, bool last, struct buf *out) MUST_CHECK;
