/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the demo backend says: "Echo: " and the prompt, as a chat or a legacy completion, whole or
 * streamed; embeddings; errors in OpenAI's envelope. It depends on nothing but the request, the
 * answer's number and the date. Embedded in its transfer; loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "upstream/demo_prompt.h"
#include "upstream/transfer.h"

struct demo_answer {
	unsigned status;
	bool chat, stream;
	uint64_t number, created; /* created: seconds since 1970 */
	struct demo_prompt prompt;
	size_t said; /* bytes of the text that were streamed */
	unsigned step;
	bool whole; /* nothing comes after what was written */
};

/* Judges the request and appends the whole of a plain answer, nothing of a stream, to `out`.
 * -ENOMEM. The request's body must live as long as the answer. */
int demo_answer_begin(struct demo_answer *answer, const struct transfer_request *request,
		      uint64_t number, struct buf *out) MUST_CHECK;
/* Appends the next event of a stream that is not whole. -ENOMEM. */
int demo_answer_next(struct demo_answer *answer, struct buf *out) MUST_CHECK;
