/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_BYTES = 64 };

/*
 * Every allocation has head + cap + 1 bytes: the spare one takes the NUL of vsnprintf() and of
 * buf_take() and is never counted.
 */
static char *allocation(const struct buf *b)
{
	return b->data ? b->data - b->head : NULL;
}

static void move_to_front(struct buf *b)
{
	if (b->head == 0)
		return;
	memmove(b->data - b->head, b->data, b->len);
	b->data -= b->head;
	b->cap += b->head;
	b->head = 0;
}

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){.max = max_bytes};
}

void buf_done(struct buf *b)
{
	free(allocation(b));
	buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	move_to_front(b);
}

/* Doubles, so that appending byte by byte stays linear. */
static size_t grown_cap(const struct buf *b, size_t needed)
{
	size_t cap = b->len > b->max / 2 ? b->max : b->len * 2;

	if (cap < FIRST_BYTES)
		cap = FIRST_BYTES;
	if (cap > b->max)
		cap = b->max;
	return cap < needed ? needed : cap;
}

static int grow(struct buf *b, size_t needed)
{
	size_t cap = grown_cap(b, needed);
	char *bytes;

	if (cap == SIZE_MAX)
		return -ENOMEM;
	/* Without a head realloc() may extend in place; with one it would copy dead bytes. */
	bytes = b->head ? malloc(cap + 1) : realloc(b->data, cap + 1);
	if (!bytes)
		return -ENOMEM;
	if (b->head) {
		memcpy(bytes, b->data, b->len);
		free(allocation(b));
	}
	b->data = bytes;
	b->head = 0;
	b->cap = cap;
	return 0;
}

static int make_room(struct buf *b, size_t n)
{
	if (n > b->max - b->len)
		return -EMSGSIZE;
	if (b->data && n <= b->cap - b->len)
		return 0;
	/* Moving at most as much as was consumed keeps a byte queue linear. */
	if (b->head >= b->len && n <= b->head + b->cap - b->len && b->data) {
		move_to_front(b);
		return 0;
	}
	return grow(b, b->len + n);
}

int buf_append(struct buf *b, const void *bytes, size_t n)
{
	int r;

	if (n == 0)
		return 0;
	r = make_room(b, n);
	if (r < 0)
		return r;
	memcpy(b->data + b->len, bytes, n);
	b->len += n;
	return 0;
}

int buf_append_str(struct buf *b, struct str s)
{
	return buf_append(b, s.p, s.n);
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = buf_vprintf(b, format, ap);
	va_end(ap);
	return r;
}

int buf_vprintf(struct buf *b, const char *format, va_list ap)
{
	size_t room = b->data ? b->cap - b->len + 1 : 0;
	va_list again;
	size_t n;
	int r;

	va_copy(again, ap);
	r = vsnprintf(room ? b->data + b->len : NULL, room, format, ap);
	if (r < 0) {
		r = -ENOMEM;
		goto out;
	}
	n = (size_t)r;
	if (n > b->max - b->len) {
		r = -EMSGSIZE;
		goto out;
	}
	if (n >= room) {
		r = make_room(b, n);
		if (r < 0)
			goto out;
		r = vsnprintf(b->data + b->len, n + 1, format, again);
		assert(r >= 0 && (size_t)r == n);
	}
	b->len += n;
	r = 0;
out:
	va_end(again);
	return r;
}

int buf_reserve(struct buf *b, size_t n, char **ret_tail)
{
	int r = make_room(b, n);

	if (r < 0)
		return r;
	*ret_tail = b->data + b->len;
	return 0;
}

void buf_commit(struct buf *b, size_t n)
{
	assert(n <= b->cap - b->len);
	b->len += n;
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (n == b->len) {
		buf_clear(b);
		return;
	}
	b->data += n;
	b->head += n;
	b->cap -= n;
	b->len -= n;
}

char *buf_take(struct buf *b, size_t *ret_len)
{
	char *bytes;

	if (make_room(b, 0) < 0)
		return NULL;
	move_to_front(b);
	bytes = b->data;
	bytes[b->len] = '\0';
	*ret_len = b->len;
	buf_init(b, b->max);
	return bytes;
}
