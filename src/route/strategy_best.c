/* SPDX-License-Identifier: Apache-2.0 */
#include "route/strategy_best.h"

#include <assert.h>

size_t strategy_turn(const struct choice *choice, size_t bound)
{
	uint64_t turn;

	assert(bound > 0);
	/* Where there is no choice no turn is used up, so that the others' stay even. */
	if (bound == 1)
		return 0;
	turn = atomic_fetch_add_explicit(&choice->model->state->turn, 1, memory_order_relaxed);
	return (size_t)(turn % bound);
}

size_t strategy_best(const struct choice *choice,
		     uint64_t (*score)(const struct choice *choice,
				       const struct candidate *candidate))
{
	uint64_t best = 0;
	size_t n_best = 0, first = 0, turn;

	for (size_t i = 0; i < choice->n; i++) {
		uint64_t value = score(choice, choice->usable[i]);

		if (n_best == 0 || value > best) {
			best = value;
			n_best = 0;
			first = i;
		}
		n_best += value == best;
	}
	turn = strategy_turn(choice, n_best);
	/* Live scores may have moved since; then the first of the best is as good as any. */
	for (size_t i = first; i < choice->n; i++)
		if (score(choice, choice->usable[i]) == best && turn-- == 0)
			return i;
	return first;
}
