/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splits an event stream (WHATWG HTML, "Server-sent events") into frames without changing a byte:
 * the frames' raw bytes, in order, are exactly the input. CR, LF, CRLF, a BOM, multi-line data and
 * pieces cut at any byte are understood, and where the cuts fall changes no frame.
 *
 * A CR that ends a frame's blank line may be half of a CRLF whose LF is still under way. When the
 * line end before it was a CRLF, the frame waits for that LF; in a stream of other line ends the
 * frame is whole at once (waiting could take forever), and a LF that follows after all is handed
 * on as a frame of its own without data.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"

/* A complete event, or a run of comment lines up to its blank line. */
struct sse_frame {
	struct str raw;  /* as received, the ending blank line included */
	struct str data; /* the data lines joined by LF; p NULL when the frame has none */
	bool oversize;   /* a piece of a frame larger than the ceiling: raw only, not understood */
};

enum sse_state {
	SSE_LINE_START,
	SSE_IN_LINE,
	SSE_LINE_CR,  /* a line ended by CR; a LF may belong to it */
	SSE_BLANK_CR, /* a blank line's CR in a CRLF stream: the frame waits for its LF */
	SSE_FRAME_CR  /* a frame ended by CR alone */
};

struct sse {
	struct buf pending; /* an incomplete frame */
	struct buf joined;  /* scratch for multi-line data */
	enum sse_state state;
	bool oversize; /* of the frame under way */
	bool started;  /* the first frame is behind, and with it the place of a BOM */
	bool crlf;     /* the last line end was one */
};

void sse_init(struct sse *sse, size_t max_frame_bytes);
void sse_done(struct sse *sse);
/* Calls `on_frame` for each frame completed; the slices live until it returns; it returns false to
 * stop at once (the rest of the piece is then dropped, and `sse` is not touched any more, so it may
 * be gone). -ENOMEM. */
int sse_feed(struct sse *sse, struct str piece,
	     bool (*on_frame)(void *context, const struct sse_frame *frame),
	     void *context) MUST_CHECK;
/* The bytes of an incomplete last frame (borrowed), empty when the stream ended on a frame's end.
 */
struct str sse_rest(const struct sse *sse);
/* Is a frame under way, held or too large for that? */
bool sse_is_within_frame(const struct sse *sse);
