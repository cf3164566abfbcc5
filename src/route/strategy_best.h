/* SPDX-License-Identifier: Apache-2.0 */
/* For strategies that rate candidates: the best one, ties broken in turn. Any thread. */
#pragma once

#include "route/strategy.h"

/* The model's next turn, below `bound` > 0: one after the other over all threads. */
size_t strategy_turn(const struct choice *choice, size_t bound);
/* The index of the candidate with the highest score; equals take turns. */
size_t strategy_best(const struct choice *choice,
		     uint64_t (*score)(const struct choice *choice,
				       const struct candidate *candidate));
