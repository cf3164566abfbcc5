/* SPDX-License-Identifier: Apache-2.0 */
#include "route/strategy_best.h"

static size_t pick(const struct choice *choice)
{
	return strategy_turn(choice, choice->n);
}

const struct strategy strategy_round_robin = {.name = "round_robin", .pick = pick};
