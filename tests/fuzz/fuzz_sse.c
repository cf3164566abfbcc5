/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes, cut anywhere: the frames' raw bytes and the rest are the input, nothing is held above
 * the ceiling, the frames do not depend on the cuts, and their data are what a plain reading of the
 * standard gives.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "upstream/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOMY = 1 << 20 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void put(struct buf *b, const void *bytes, size_t n)
{
	require(buf_append(b, bytes, n) == 0);
}

/* What a reader of the stream saw: all raw bytes, and the data of each event behind a mark. */
struct seen {
	struct buf raw, events, ends;
	bool oversize;
};

static void seen_init(struct seen *seen)
{
	buf_init(&seen->raw, ROOMY);
	buf_init(&seen->events, ROOMY);
	buf_init(&seen->ends, ROOMY * sizeof(size_t));
	seen->oversize = false;
}

static void seen_done(struct seen *seen)
{
	buf_done(&seen->raw);
	buf_done(&seen->events);
	buf_done(&seen->ends);
}

static bool on_frame(void *context, const struct sse_frame *frame)
{
	struct seen *seen = context;

	require(frame->raw.n > 0);
	put(&seen->raw, frame->raw.p, frame->raw.n);
	put(&seen->ends, &seen->raw.len, sizeof(seen->raw.len));
	seen->oversize |= frame->oversize;
	if (frame->data.p) {
		put(&seen->events, "\0E", 2);
		put(&seen->events, frame->data.p, frame->data.n);
	}
	return true;
}

/* `pattern` gives the lengths of the pieces, over and over; 0 of it is the whole at once. */
static void read_all(struct seen *seen, struct str text, struct str pattern, size_t ceiling)
{
	struct sse sse;

	seen_init(seen);
	sse_init(&sse, ceiling);
	for (size_t at = 0, i = 0; at < text.n; i++) {
		size_t n = text.n;
		char *piece;

		if (pattern.n > 0)
			n = (uint8_t)pattern.p[i % pattern.n] % 31u + 1;
		if (n > text.n - at)
			n = text.n - at;
		piece = malloc(n);
		require(piece != NULL);
		memcpy(piece, text.p + at, n);
		require(sse_feed(&sse, (struct str){piece, n}, on_frame, seen) == 0);
		require(sse_rest(&sse).n <= ceiling);
		free(piece);
		at += n;
	}
	put(&seen->raw, sse_rest(&sse).p, sse_rest(&sse).n);
	sse_done(&sse);
}

/* The standard's algorithm, a line at a time over the whole stream. */
struct reference {
	struct buf events, data;
	bool has_data;
};

static void reference_line(struct reference *ref, struct str line)
{
	if (line.n == 0) {
		if (ref->has_data) {
			put(&ref->events, "\0E", 2);
			put(&ref->events, ref->data.data, ref->data.len - 1);
		}
		buf_clear(&ref->data);
		ref->has_data = false;
		return;
	}
	if (line.n < 4 || memcmp(line.p, "data", 4) != 0 || (line.n > 4 && line.p[4] != ':'))
		return;
	ref->has_data = true;
	for (size_t i = line.n > 5 && line.p[5] == ' ' ? 6 : 5; i < line.n; i++)
		put(&ref->data, &line.p[i], 1);
	put(&ref->data, "\n", 1);
}

static void reference_read(struct reference *ref, struct str text)
{
	size_t begin = text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	buf_init(&ref->events, ROOMY);
	buf_init(&ref->data, ROOMY);
	ref->has_data = false;
	for (size_t i = begin; i < text.n; i++) {
		if (text.p[i] != '\n' && text.p[i] != '\r')
			continue;
		reference_line(ref, (struct str){text.p + begin, i - begin});
		if (text.p[i] == '\r' && i + 1 < text.n && text.p[i + 1] == '\n')
			i++;
		begin = i + 1;
	}
}

/* The splitter may still wait for the LF of the last blank line: then its frame ends later. */
static bool waits_for_lf(struct str text)
{
	return text.n > 0 && text.p[text.n - 1] == '\r';
}

static void check_data(const struct seen *seen, struct str text)
{
	struct reference ref;
	struct str events = buf_str(&seen->events);

	reference_read(&ref, text);
	require(ref.events.len == events.n || (waits_for_lf(text) && events.n < ref.events.len));
	require(events.n == 0 || memcmp(ref.events.data, events.p, events.n) == 0);
	buf_done(&ref.events);
	buf_done(&ref.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n_pattern = size > 0 ? data[0] % 8 : 0;
	struct str all = {(const char *)data, size}, text, pattern;
	struct seen whole, cut, small;

	if (size == 0 || size - 1 < n_pattern || size > ROOMY / 8)
		return 0;
	pattern = (struct str){all.p + 1, n_pattern};
	text = (struct str){all.p + 1 + n_pattern, size - 1 - n_pattern};

	read_all(&whole, text, (struct str){NULL, 0}, ROOMY);
	read_all(&cut, text, pattern, ROOMY);
	read_all(&small, text, pattern, 24);
	require(str_eq(buf_str(&whole.raw), text));
	require(str_eq(buf_str(&cut.raw), text));
	require(str_eq(buf_str(&small.raw), text));
	require(!whole.oversize && !cut.oversize);
	require(str_eq(buf_str(&whole.ends), buf_str(&cut.ends)));
	require(str_eq(buf_str(&whole.events), buf_str(&cut.events)));
	require(small.oversize || str_eq(buf_str(&whole.events), buf_str(&small.events)));
	check_data(&whole, text);
	seen_done(&whole);
	seen_done(&cut);
	seen_done(&small);
	return 0;
}
