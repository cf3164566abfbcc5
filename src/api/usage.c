/* SPDX-License-Identifier: Apache-2.0 */
#include "api/usage.h"

#include "base/attr.h"

void usage_found(struct usage *usage, enum usage_field field, struct json_value value)
{
	uint64_t tokens;

	if (json_number_u53(value, &tokens) < 0)
		return;
	switch (field) {
	case USAGE_PROMPT:
		usage->prompt_tokens = tokens;
		usage->seen = true;
		break;
	case USAGE_COMPLETION:
		usage->completion_tokens = tokens;
		usage->seen = true;
		break;
	case USAGE_CACHED:
		usage->cached_prompt_tokens = tokens;
		break;
	case USAGE_REASONING:
		usage->reasoning_tokens = tokens;
		break;
	case N_USAGE_FIELDS:
		break;
	}
}

static const struct json_path usage_paths[] = {
	USAGE_PATHS,
	USAGE_PATHS_BELOW("usage"),
};

static void found(void *context, size_t path, struct json_value value)
{
	usage_found(context, (enum usage_field)(path % N_USAGE_FIELDS), value);
}

bool usage_read(struct str text, struct usage *ret_usage)
{
	struct usage usage = {0};
	struct jsonscan scan = {
		.paths = usage_paths,
		.n_paths = ARRAY_SIZE(usage_paths),
		.found = found,
		.context = &usage,
	};

	if (jsonscan_run(&scan, text) != JSON_OK)
		return false;
	*ret_usage = usage;
	return true;
}
