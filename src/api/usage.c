/* SPDX-License-Identifier: Apache-2.0 */
#include "api/usage.h"

#include "base/attr.h"
#include "config/config.h"

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

/* Prices are for a million tokens. No sum comes near 64 bits: a backend's numbers end at 2^53, so
 * they are clipped at what a billion dollars would buy. */
uint64_t usage_nano_usd(const struct usage *usage, const struct price_config *price)
{
	const double most = 1e18;
	uint64_t cached = usage->cached_prompt_tokens < usage->prompt_tokens
				  ? usage->cached_prompt_tokens
				  : usage->prompt_tokens;
	uint64_t cached_price = price->cached_prompt ? price->cached_prompt : price->prompt;
	double cost = (double)(usage->prompt_tokens - cached) * (double)price->prompt +
		      (double)cached * (double)cached_price +
		      (double)usage->completion_tokens * (double)price->completion;

	cost /= 1e6;
	return cost < most ? (uint64_t)(cost + 0.5) : (uint64_t)most;
}
