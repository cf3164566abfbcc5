/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/sse.h"

#include <stddef.h>

void sse_init(struct sse *sse, size_t max_frame_bytes)
{
	*sse = (struct sse){.state = SSE_LINE_START};
	buf_init(&sse->pending, max_frame_bytes);
	buf_init(&sse->joined, max_frame_bytes);
}

void sse_done(struct sse *sse)
{
	buf_done(&sse->pending);
	buf_done(&sse->joined);
}

struct str sse_rest(const struct sse *sse)
{
	return buf_str(&sse->pending);
}

bool sse_is_within_frame(const struct sse *sse)
{
	return sse->oversize || sse->pending.len > 0;
}

/* Where a byte leads, and whether the frame ended behind it or already before it. */
enum step { STEP_ON, STEP_END, STEP_END_BEFORE };

static enum step blank_line_cr(struct sse *sse)
{
	if (sse->crlf) {
		sse->state = SSE_BLANK_CR;
		return STEP_ON;
	}
	sse->state = SSE_FRAME_CR;
	return STEP_END;
}

/* A byte that follows a line's end and is no part of that. */
static enum step line_start(struct sse *sse, char byte)
{
	if (byte == '\r')
		return blank_line_cr(sse);
	if (byte == '\n') {
		sse->crlf = false;
		sse->state = SSE_LINE_START;
		return STEP_END;
	}
	sse->state = SSE_IN_LINE;
	return STEP_ON;
}

static enum step step(struct sse *sse, char byte)
{
	bool lf = byte == '\n';

	switch (sse->state) {
	case SSE_IN_LINE:
		if (byte == '\r') {
			sse->state = SSE_LINE_CR;
		} else if (lf) {
			sse->crlf = false;
			sse->state = SSE_LINE_START;
		}
		return STEP_ON;
	case SSE_LINE_CR:
		sse->crlf = lf;
		if (!lf)
			return line_start(sse, byte);
		sse->state = SSE_LINE_START;
		return STEP_ON;
	case SSE_BLANK_CR:
		sse->crlf = lf;
		sse->state = SSE_LINE_START;
		return lf ? STEP_END : STEP_END_BEFORE;
	case SSE_FRAME_CR:
		sse->crlf = lf;
		sse->state = SSE_LINE_START;
		return lf ? STEP_END : line_start(sse, byte);
	case SSE_LINE_START:
		break;
	}
	return line_start(sse, byte);
}

/* The bytes of `piece` up to the end of the frame under way, all of them while it has none. */
static size_t scan(struct sse *sse, struct str piece, bool *ret_ended)
{
	*ret_ended = false;
	for (size_t i = 0; i < piece.n; i++) {
		enum step taken;

		if (sse->state == SSE_IN_LINE) {
			while (i < piece.n && piece.p[i] != '\n' && piece.p[i] != '\r')
				i++;
			if (i == piece.n)
				break;
		}
		taken = step(sse, piece.p[i]);
		if (taken == STEP_ON)
			continue;
		*ret_ended = true;
		return taken == STEP_END ? i + 1 : i;
	}
	return piece.n;
}

/* Takes one line off the front, whatever ends it. */
static struct str next_line(struct str *rest)
{
	struct str line = {rest->p, 0};
	size_t end;

	while (line.n < rest->n && line.p[line.n] != '\n' && line.p[line.n] != '\r')
		line.n++;
	end = line.n;
	if (end < rest->n && rest->p[end++] == '\r' && end < rest->n && rest->p[end] == '\n')
		end++;
	rest->p += end;
	rest->n -= end;
	return line;
}

/* The value of a "data" line. Every other field, and a comment, is of no interest here. */
static bool data_value(struct str line, struct str *ret_value)
{
	static const struct str name = {"data", 4};

	if (!str_has_prefix(line, name))
		return false;
	line.p += name.n;
	line.n -= name.n;
	if (line.n > 0) {
		if (line.p[0] != ':')
			return false;
		line.p++;
		line.n--;
	}
	if (line.n > 0 && line.p[0] == ' ') {
		line.p++;
		line.n--;
	}
	*ret_value = line;
	return true;
}

/* One data line stays a slice of the frame; more are joined in the scratch buffer. */
static int collect_data(struct sse *sse, struct str raw, struct str *ret_data)
{
	static const struct str bom = {"\xef\xbb\xbf", 3};
	struct str value, data = {NULL, 0};
	size_t n_lines = 0;
	int r;

	if (!sse->started && str_has_prefix(raw, bom)) {
		raw.p += bom.n;
		raw.n -= bom.n;
	}
	while (raw.n > 0) {
		if (!data_value(next_line(&raw), &value))
			continue;
		if (n_lines++ == 0) {
			data = value;
			continue;
		}
		if (n_lines == 2) {
			buf_clear(&sse->joined);
			r = buf_append_str(&sse->joined, data);
			if (r < 0)
				return r;
		}
		r = buf_append(&sse->joined, "\n", 1);
		if (r == 0)
			r = buf_append_str(&sse->joined, value);
		if (r < 0)
			return r;
	}
	/* An empty first line leaves the buffer without an allocation to point at, never without
	 * the LF behind it. */
	*ret_data = n_lines > 1 ? buf_str(&sse->joined) : data;
	return 0;
}

struct sink {
	bool (*on_frame)(void *context, const struct sse_frame *frame);
	void *context;
};

/* Everything is in order before the call: the callback may stop for good and free `sse`. Clearing
 * `pending` leaves its bytes in place for as long as the callback runs. */
static bool emit(struct sse *sse, const struct sse_frame *frame, const struct sink *sink)
{
	sse->started = true;
	buf_clear(&sse->pending);
	return sink->on_frame(sink->context, frame);
}

/* A piece of a frame that is too large to be held: first what is held of it, then the piece. */
static bool pass_oversize(struct sse *sse, struct str part, bool ended, const struct sink *sink)
{
	struct sse_frame frame = {.oversize = true, .raw = buf_str(&sse->pending)};

	sse->oversize = true;
	if (frame.raw.n > 0 && !emit(sse, &frame, sink))
		return false;
	sse->oversize = !ended;
	frame.raw = part;
	return part.n == 0 || emit(sse, &frame, sink);
}

/* 1 to go on, 0 when the callback stopped. */
static int pass_frame(struct sse *sse, struct str part, const struct sink *sink)
{
	struct sse_frame frame = {.raw = part};
	int r;

	if (sse->pending.len > 0) {
		r = buf_append_str(&sse->pending, part);
		if (r < 0)
			return r;
		frame.raw = buf_str(&sse->pending);
	}
	r = collect_data(sse, frame.raw, &frame.data);
	if (r < 0)
		return r;
	return emit(sse, &frame, sink);
}

int sse_feed(struct sse *sse, struct str piece,
	     bool (*on_frame)(void *context, const struct sse_frame *frame), void *context)
{
	const struct sink sink = {on_frame, context};

	while (piece.n > 0) {
		bool ended;
		struct str part = {piece.p, scan(sse, piece, &ended)};
		int r = 1;

		piece.p += part.n;
		piece.n -= part.n;
		if (sse->oversize || part.n > sse->pending.max - sse->pending.len)
			r = pass_oversize(sse, part, ended, &sink);
		else if (ended)
			r = pass_frame(sse, part, &sink);
		else
			return buf_append_str(&sse->pending, part);
		if (r <= 0)
			return r;
	}
	return 0;
}
