/* SPDX-License-Identifier: Apache-2.0 */
/* A strategy picks one of the usable candidates of a model. One file each; strategies.c lists them.
 */
#pragma once

#include <stddef.h>

#include "base/hash.h"
#include "route/route_table.h"

struct choice {
	const struct route_table *table;
	const struct route_model *model;
	const struct candidate *const *usable; /* n >= 1 */
	size_t n;
	uint64_t session;           /* what the request belongs to, hashed; 0 unknown */
	struct hash_random *random; /* the thread's */
};

struct strategy {
	const char *name; /* as in routing.strategy */
	/* Returns an index below choice->n. Any thread. */
	size_t (*pick)(const struct choice *choice);
	bool wants_session; /* choice->session is of use */
};

extern const struct strategy strategy_smart, strategy_round_robin, strategy_weighted,
	strategy_least_pending, strategy_power_of_two, strategy_priority_only, strategy_random,
	strategy_session;

/* By config_strategy; NULL past the last one. */
const struct strategy *strategy_at(size_t index);
