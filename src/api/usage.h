/* SPDX-License-Identifier: Apache-2.0 */
/* What a backend says an answer used: read in passing, wherever an answer is scanned. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jsonscan.h"

struct price_config;

struct usage {
	bool seen; /* it said how many prompt or completion tokens */
	uint64_t prompt_tokens, completion_tokens;
	uint64_t cached_prompt_tokens, reasoning_tokens; /* parts of the two */
};

enum usage_field { USAGE_PROMPT, USAGE_COMPLETION, USAGE_CACHED, USAGE_REASONING, N_USAGE_FIELDS };

/* The paths of a scan that wants to know, in that order: as completions tell it, and as the younger
 * interfaces do, where the arguments are the members that lead to it. */
/* clang-format off */
#define USAGE_PATHS                                               \
	{{"usage", "prompt_tokens"}},                             \
	{{"usage", "completion_tokens"}},                         \
	{{"usage", "prompt_tokens_details", "cached_tokens"}},    \
	{{"usage", "completion_tokens_details", "reasoning_tokens"}}
#define USAGE_PATHS_BELOW(...)                                    \
	{{__VA_ARGS__, "input_tokens"}},                          \
	{{__VA_ARGS__, "output_tokens"}},                         \
	{{__VA_ARGS__, "input_tokens_details", "cached_tokens"}}, \
	{{__VA_ARGS__, "output_tokens_details", "reasoning_tokens"}}
/* clang-format on */

/* Takes what the scan found; anything but a count is not there. */
void usage_found(struct usage *usage, enum usage_field field, struct json_value value);
/* What a whole JSON document says of usage; false when it is no JSON. */
bool usage_read(struct str text, struct usage *ret_usage);
/* What it costs, in billionths of a dollar. */
uint64_t usage_nano_usd(const struct usage *usage, const struct price_config *price);
