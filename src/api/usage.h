/* SPDX-License-Identifier: Apache-2.0 */
/* What a backend says an answer used: read in passing, wherever an answer is scanned. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jsonscan.h"

struct usage {
	bool seen; /* it said how many prompt or completion tokens */
	uint64_t prompt_tokens, completion_tokens;
	uint64_t cached_prompt_tokens, reasoning_tokens; /* parts of the two */
};

/* The first paths of a scan that wants to know, at these positions. */
enum usage_path { USAGE_PROMPT, USAGE_COMPLETION, USAGE_CACHED, USAGE_REASONING, N_USAGE_PATHS };

#define USAGE_PATHS                                                             \
	[USAGE_PROMPT] = {{"usage", "prompt_tokens"}},                          \
	[USAGE_COMPLETION] = {{"usage", "completion_tokens"}},                  \
	[USAGE_CACHED] = {{"usage", "prompt_tokens_details", "cached_tokens"}}, \
	[USAGE_REASONING] = {{"usage", "completion_tokens_details", "reasoning_tokens"}}

/* Takes what the scan found; anything but a count is not there. */
void usage_found(struct usage *usage, size_t path, struct json_value value);
/* What a whole JSON document says of usage; false when it is no JSON. */
bool usage_read(struct str text, struct usage *ret_usage);
