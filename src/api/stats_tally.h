/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each model and each backend has done, under their real names, from one snapshot: the rows of
 * /v1/stats, in their order.
 */
#pragma once

#include "base/map.h"
#include "export/totals.h"
#include "metrics/bundle.h"
#include "route/route_table.h"

/* Of a model or of a backend. */
struct tally {
	struct str name;
	uint64_t requests, success;
	uint64_t tokens[N_TOKEN_TYPES];
	uint64_t cost_nano_usd;
	struct distribution duration, first_token; /* ns */
	const struct backend *backend; /* NULL for models and for backends that were removed */
	const struct backend_config *config;
};

struct tally_rows {
	struct tally **rows; /* they belong to `by_name` */
	size_t n;
	struct map *by_name;
};

struct stats_tally {
	struct totals totals;
	struct tally_rows backends; /* by name */
	struct tally_rows models;   /* by requests, the most first, then by name */
};

/* `table` must outlive it. -ENOMEM; call stats_tally_done() in any case. */
int stats_tally_take(struct stats_tally *tally, struct registry *registry,
		     const struct route_table *table) MUST_CHECK;
void stats_tally_done(struct stats_tally *tally);
