/* SPDX-License-Identifier: Apache-2.0 */
#include "route/strategy_best.h"

static uint64_t score(const struct choice *choice, const struct candidate *candidate)
{
	(void)choice;
	return UINT64_MAX - backend_load(candidate->backend);
}

static size_t pick(const struct choice *choice)
{
	return strategy_best(choice, score);
}

const struct strategy strategy_least_pending = {.name = "least_pending", .pick = pick};
