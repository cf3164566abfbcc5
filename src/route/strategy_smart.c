/* SPDX-License-Identifier: Apache-2.0 */
/* Near, idle and fast backends first: the weighted sum of three scores from 0 to 100. */
#include "route/strategy_best.h"

#define BEST_SCORE 100
/* Ten milliseconds of latency cost a point. */
#define USEC_PER_POINT 10000

static uint64_t points(uint64_t burden)
{
	return BEST_SCORE - (burden < BEST_SCORE ? burden : BEST_SCORE);
}

static uint64_t score(const struct choice *choice, const struct candidate *candidate)
{
	const struct config *config = choice->table->config;
	uint64_t ema_usec =
		atomic_load_explicit(&candidate->backend->ema_usec, memory_order_relaxed);

	return points(candidate->config->priority) * config->routing.weights.priority +
	       points(backend_load(candidate->backend)) * config->routing.weights.load +
	       points(ema_usec / USEC_PER_POINT) * config->routing.weights.latency;
}

static size_t pick(const struct choice *choice)
{
	return strategy_best(choice, score);
}

const struct strategy strategy_smart = {.name = "smart", .pick = pick};
