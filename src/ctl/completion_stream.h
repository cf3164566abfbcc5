/* SPDX-License-Identifier: Apache-2.0 */
/* A streamed chat completion as it arrives: what it says, and when it began to. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

#define COMPLETION_LINE_MAX 65536

struct completion_stream {
	uint64_t began_ns;       /* the caller's */
	uint64_t first_token_ns; /* since then; 0: none has come */
	struct buf line;         /* not yet whole */
	struct buf text;         /* the answer, its beginning if it is long */
	char error[512];         /* of an error event; "" for none */
	uint64_t prompt_tokens, completion_tokens;
	bool is_done; /* [DONE] came */
	bool is_odd;  /* a line is longer than anything to be expected, or memory is out */
};

void completion_stream_init(struct completion_stream *stream, uint64_t now_ns);
void completion_stream_done(struct completion_stream *stream);
void completion_stream_take(struct completion_stream *stream, struct str bytes, uint64_t now_ns);
