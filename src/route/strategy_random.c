/* SPDX-License-Identifier: Apache-2.0 */
#include "route/strategy.h"

static size_t pick(const struct choice *choice)
{
	return (size_t)hash_random_below(choice->random, choice->n);
}

const struct strategy strategy_random = {.name = "random", .pick = pick};
