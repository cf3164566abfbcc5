/* SPDX-License-Identifier: Apache-2.0 */
#include "route/strategy_best.h"

static uint64_t score(const struct choice *choice, const struct candidate *candidate)
{
	(void)choice;
	return UINT64_MAX - candidate->config->priority;
}

static size_t pick(const struct choice *choice)
{
	return strategy_best(choice, score);
}

const struct strategy strategy_priority_only = {.name = "priority_only", .pick = pick};
