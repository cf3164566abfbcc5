/* SPDX-License-Identifier: Apache-2.0 */
#include "route/strategy.h"

#include <string.h>

/* The list: a strategy is its file and its row here. */
static const struct strategy *const strategies[] = {
	&strategy_smart,         &strategy_round_robin,  &strategy_weighted,
	&strategy_least_pending, &strategy_power_of_two, &strategy_priority_only,
	&strategy_random,        &strategy_session,
};

const struct strategy *strategy_at(size_t index)
{
	return index < ARRAY_SIZE(strategies) ? strategies[index] : NULL;
}

const struct strategy *strategy_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(strategies); i++)
		if (strcmp(name, strategies[i]->name) == 0)
			return strategies[i];
	return NULL;
}
