/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What belongs together goes to one backend, whose caches then hold the beginning of the prompt: by
 * rendezvous hashing, so that a backend that comes or goes moves its own share of the sessions and
 * no others, with shares by weight, and with bounded loads, so that a few busy sessions do not bury
 * it. Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (1998);
 * Schindelhauer and Schomaker, "Weighted Distributed Hash Tables" (2005); Mirrokni, Thorup and
 * Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2018).
 */
#include <math.h>

#include "route/strategy.h"

/* A backend may have so many quarters of its share of what is in flight. */
#define QUARTERS_OF_SHARE 5

/* The greatest of a session's wins, each as often as its weight says. Of one that is below `least`
 * only that is sure: log(x) is at most x - 1, and mostly not asked. */
static double rank_of(const struct choice *choice, const struct candidate *candidate, double least)
{
	uint64_t bits = hash_mix(choice->session ^ candidate->place) >> 11;
	double uniform = ((double)bits + 0.5) * 0x1p-53;
	double weight = (double)candidate->config->weight;

	return (uniform - 1) / weight < least ? (uniform - 1) / weight : log(uniform) / weight;
}

static size_t pick(const struct choice *choice)
{
	uint64_t weights = 0, load = 1; /* the request itself */
	double best_rank = -INFINITY;
	bool best_has_room = false;
	size_t best = 0;

	if (choice->session == 0)
		return strategy_smart.pick(choice);
	for (size_t i = 0; i < choice->n; i++) {
		weights += choice->usable[i]->config->weight;
		load += backend_load(choice->usable[i]->backend);
	}
	for (size_t i = 0; i < choice->n; i++) {
		const struct candidate *candidate = choice->usable[i];
		bool has_room = backend_load(candidate->backend) * 4 * weights <
				QUARTERS_OF_SHARE * load * candidate->config->weight;
		double rank;

		if (has_room < best_has_room)
			continue;
		if (has_room > best_has_room)
			best_rank = -INFINITY;
		rank = rank_of(choice, candidate, best_rank);
		if (rank < best_rank)
			continue;
		best = i;
		best_rank = rank;
		best_has_room = has_room;
	}
	return best;
}

const struct strategy strategy_session = {.name = "session", .pick = pick, .wants_session = true};
