/* SPDX-License-Identifier: Apache-2.0 */
/* What the demo backend reads of a request for text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

#define DEMO_PROMPT_MAX_BYTES 2000

struct demo_prompt {
	struct str model; /* as it stands in the body, quotes included */
	bool stream, include_usage;
	size_t prompt_bytes; /* of the whole prompt, decoded */
	size_t text_bytes;   /* of what is echoed of it */
	char text[DEMO_PROMPT_MAX_BYTES];
	const char *bad_field; /* the field that is missing or no good, or NULL */
};

/* Of a chat the prompt is the last user message's text, else it is `prompt`. The slices are those
 * of `body`. -ENOMEM, -EINVAL when the body is no JSON. */
int demo_prompt_read(struct demo_prompt *prompt, struct str body, bool chat) MUST_CHECK;
