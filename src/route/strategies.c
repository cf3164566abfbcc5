/* SPDX-License-Identifier: Apache-2.0 */
#include "route/strategy.h"

/* The list: a strategy is its file and its row here. */
static const struct strategy *const strategies[] = {
	[STRATEGY_SMART] = &strategy_smart,
	[STRATEGY_ROUND_ROBIN] = &strategy_round_robin,
	[STRATEGY_WEIGHTED] = &strategy_weighted,
	[STRATEGY_LEAST_PENDING] = &strategy_least_pending,
	[STRATEGY_POWER_OF_TWO] = &strategy_power_of_two,
	[STRATEGY_PRIORITY_ONLY] = &strategy_priority_only,
	[STRATEGY_RANDOM] = &strategy_random,
	[STRATEGY_SESSION] = &strategy_session,
};

const struct strategy *strategy_at(size_t index)
{
	return index < ARRAY_SIZE(strategies) ? strategies[index] : NULL;
}
