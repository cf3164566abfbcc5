/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer born with its ceiling. It owns its bytes; appending past the
 * ceiling fails and leaves what is there untouched. Consuming from the front is cheap,
 * so it also serves as a byte queue.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct buf {
	char *data;  /* first byte of the content; NULL while nothing was ever appended */
	size_t len;  /* bytes of content */
	size_t head; /* consumed bytes in front of data, inside the allocation */
	size_t cap;  /* bytes usable from data on */
	size_t max;  /* ceiling of len */
};

void buf_init(struct buf *b, size_t max_bytes);
/* Frees the bytes; the buffer may be used again with the same ceiling. */
void buf_done(struct buf *b);
/* Empties it and keeps the allocation. */
void buf_clear(struct buf *b);

/* -ENOMEM, or -EMSGSIZE past the ceiling; on failure nothing was added. */
int buf_append(struct buf *b, const void *bytes, size_t n) MUST_CHECK;
int buf_append_str(struct buf *b, struct str s) MUST_CHECK;
int buf_printf(struct buf *b, const char *format, ...) MUST_CHECK PRINTF_LIKE(2, 3);
int buf_vprintf(struct buf *b, const char *format, va_list ap) MUST_CHECK PRINTF_LIKE(2, 0);
/* Makes room for `n` more bytes at *ret_tail; they count once buf_commit() says so. */
int buf_reserve(struct buf *b, size_t n, char **ret_tail) MUST_CHECK;
void buf_commit(struct buf *b, size_t n);
/* Drops `n` <= len bytes from the front. */
void buf_consume(struct buf *b, size_t n);
/* Hands over the bytes (malloc'ed, content at the start, NUL behind it; the caller frees) and
 * leaves it empty. NULL for no memory, and then nothing was taken. */
char *buf_take(struct buf *b, size_t *ret_len) MUST_CHECK;

static inline struct str buf_str(const struct buf *b)
{
	return (struct str){b->data, b->len};
}
