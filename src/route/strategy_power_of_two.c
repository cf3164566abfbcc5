/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The less busy one of two at random: nearly as even as asking all of them, and threads that all
 * see the same idle backend do not rush to it together.
 * Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001).
 */
#include "route/strategy.h"

static size_t pick(const struct choice *choice)
{
	size_t one = (size_t)hash_random_below(choice->random, choice->n), other;

	if (choice->n == 1)
		return one;
	other = (size_t)hash_random_below(choice->random, choice->n - 1);
	other += other >= one;
	return backend_load(choice->usable[other]->backend) <
			       backend_load(choice->usable[one]->backend)
		       ? other
		       : one;
}

const struct strategy strategy_power_of_two = {.name = "power_of_two", .pick = pick};
