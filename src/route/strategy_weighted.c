/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In proportion to the configured weights, exactly: of as many turns in a row as the weights add up
 * to each backend gets its weight. Turns step through the sum by a stride that visits every place
 * once, and that lies near the golden section of it, so that a heavy backend's turns are spread out
 * instead of coming as one burst.
 */
#include "route/strategy_best.h"

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b)
{
	while (b > 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static uint64_t stride_through(uint64_t total)
{
	uint64_t stride = total - total * 382 / 1000;

	while (greatest_common_divisor(total, stride) != 1)
		stride--;
	return stride;
}

static size_t pick(const struct choice *choice)
{
	uint64_t total = 0, place;
	size_t i = 0;

	if (choice->n == 1)
		return 0;
	for (size_t k = 0; k < choice->n; k++)
		total += choice->usable[k]->config->weight;
	place = strategy_turn(choice, total) * stride_through(total) % total;
	while (place >= choice->usable[i]->config->weight)
		place -= choice->usable[i++]->config->weight;
	return i;
}

const struct strategy strategy_weighted = {.name = "weighted", .pick = pick};
