/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that is said about models while a route table is built, as one array sorted by model
 * and backend: each run of one id is a model. The strings belong to the configuration, a backend or
 * the previous table. Main thread only.
 */
#pragma once

#include "route/route_table.h"

#define LISTING_NO_BACKEND SIZE_MAX
#define LISTING_LATEST     ":latest" /* the tag that an Ollama name without one means */

/* So many of the models that a backend does not list any more stay known, those it listed last. */
#define LISTING_FORMER_MAX 1000

/* Ordered so that what counts most comes first among the words of one backend on one model. */
enum listing_standing {
	LISTING_LISTED,
	LISTING_FORMER, /* the backend listed it before */
	LISTING_NAMED   /* by an alias or a fallback only */
};

struct listing {
	const char *id;
	const char *backend_name; /* "" without a backend */
	size_t index;             /* of the backend in the configuration, or LISTING_NO_BACKEND */
	enum listing_standing standing;
	const struct backend_model *model; /* what is known of it, when LISTED */
	bool birth;                        /* the series of the pair are to be born with it */
	uint64_t last_listed;              /* the number of the last table in which it was LISTED */
};

struct listings {
	const struct config *config;
	struct backend *const *backends; /* one per config->backends */
	const struct route_table *previous;
	uint64_t number; /* of the table that is built */
	struct listing *entries;
	size_t n, room;
	size_t n_sorted;                     /* of the entries; the rest was added since */
	const struct alias_config **aliases; /* sorted by name */
};

/* Fills `entries` from the first four members. -ENOMEM; listings_done() is due in any case. */
int listings_collect(struct listings *l) MUST_CHECK;
void listings_done(struct listings *l);
/* NULL when there is none of this name. */
const struct alias_config *listings_find_alias(const struct listings *l, const char *name);
/* The id of the model that a name in the configuration means: aliases followed, an Ollama name
 * completed. After listings_collect() it has an entry. */
const char *listings_resolve(const struct listings *l, const char *name);
/* Is the model of this run of entries, which begins at `first`, on an Ollama backend? */
bool listings_has_ollama(const struct listings *l, const struct listing *first);
