/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts the mock backend answers with: OpenAI-shaped JSON and event-stream frames, each already
 * framed as HTTP/1.1. Fixed texts are static; the others are formatted into the caller's buffer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* No single text is longer. */
#define MOCK_REPLY_MAX 1536

struct mock_reply {
	const char *text;
	size_t n;
};

struct mock_reply mock_reply_completion(void);
struct mock_reply mock_reply_models(void);
struct mock_reply mock_reply_not_found(void);

/* These three write at most MOCK_REPLY_MAX bytes to `to` and return how many. `user` is the
 * request's own and comes back in each frame's id; `number` counts the frames from 1. */
size_t mock_reply_stream_head(char *to);
size_t mock_reply_stream_frame(char *to, const char *user, uint32_t number);
/* The finish reason, the usage, [DONE] and the end of the body. */
size_t mock_reply_stream_end(char *to, const char *user, uint32_t n_frames);
