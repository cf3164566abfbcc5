/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The immutable picture that requests are routed by: a configuration and, for each model, its
 * candidates. Only the main thread builds one (at start, on reload, when a backend's models
 * change); workers share it by reference. Metric bundles are resolved here, off the request path.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backends.h"
#include "base/attr.h"
#include "config/config.h"
#include "metrics/bundle.h"
#include "route/demand.h"

/* State of a model that outlives route tables: found by name, never freed while a table names it.
 */
struct model_state {
	_Atomic int references;
	_Atomic uint64_t turn;       /* the round-robin counter */
	uint64_t first_seen_seconds; /* Unix time */
};

struct candidate {
	struct backend *backend;             /* referenced by the table */
	const struct backend_config *config; /* of the table's configuration */
	struct bundle *bundle;
	const struct demand *demand;      /* of the model itself, in its route_model */
	uint64_t place;                   /* of the backend among the sessions */
	bool restricted;                  /* it is in that zone */
	const struct price_config *price; /* of the table's configuration; NULL none */
	size_t index;                     /* of the backend in the table's configuration */
	uint64_t last_listed; /* the number of the last table in which the backend listed it */
	const struct backend_model
		*model; /* what is known of the model there; owned by the table */
};

struct route_fallback {
	struct route_model *model; /* of this table */
	struct demand demand;      /* by the names it is given by, beyond the model's own */
};

struct route_model {
	char *id;
	struct model_state *state;
	struct demand demand;         /* by its own names */
	struct bundle *unrouted;      /* (model, none) */
	struct candidate *candidates; /* sorted by backend name; none: nobody lists it now */
	size_t n_candidates;
	size_t n_former; /* behind them in the array: backends that listed it before, no longer */
	struct route_fallback *fallbacks; /* tried in this order, each model once */
	size_t n_fallbacks;
};

struct route_alias {
	const char *name;
	struct demand demand;      /* by the names along the chain */
	struct route_model *model; /* where the chain ends */
};

struct route_table {
	_Atomic int references;
	uint64_t number;            /* one more than of the previous */
	struct config *config;      /* a reference */
	struct route_model *models; /* sorted by id */
	size_t n_models;
	struct route_alias *aliases; /* sorted by name */
	size_t n_aliases;
	struct bundle *unknown;    /* (_unknown, none); a reference, as all bundles here */
	struct backend **backends; /* one per config->backends, same order */
	struct map *by_name;       /* model ids and aliases -> route_model */

	/* What the models point into */
	struct candidate *candidate_pool;
	size_t n_pool; /* candidates in it, used or not */
	struct backend_model *description_pool;
	struct route_fallback *fallback_pool;
};

struct route_table_inputs {
	struct config *config;
	struct backends *backends;
	struct registry *registry;
	const struct route_table *previous; /* model states are taken over from it; or NULL */
};

/* Main thread. A model stays known while an alias or a fallback names it, also when nobody lists it
 * now, and while it is among the last LISTING_FORMER_MAX (listing.h) that a backend of the
 * configuration listed and does no more. NULL for no memory. */
struct route_table *route_table_build(const struct route_table_inputs *inputs) MUST_CHECK;
/* Any thread. The last reference frees it; accepts NULL, returns NULL. */
struct route_table *route_table_ref(struct route_table *table);
struct route_table *route_table_unref(struct route_table *table);

/* Has every model that had a backend in `previous` one in `table`, too? */
bool route_table_keeps_models(const struct route_table *table, const struct route_table *previous);

/* The model a client's name stands for: id, alias, or an Ollama name without its ":latest". NULL
 * when unknown. */
struct route_model *route_table_find(const struct route_table *table, struct str name);
/* What the policies for this name of the model demand: of an alias those along its chain, and
 * always those for the model's own names. */
struct demand route_table_demand(const struct route_table *table, const struct route_model *model,
				 struct str name);
