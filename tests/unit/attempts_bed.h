/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of routing: a small fleet, what ails its backends, and a request's walk over them. */
#pragma once

#include <stdlib.h>

#include "fleet.h"
#include "route/attempts.h"

/*
 * Model m on a, b and c, with fallbacks f (on d), g (on a and d) and h (on nobody).
 * Model lone on a only; model ghost on nobody.
 */
struct bed {
	struct fleet fleet;
	struct route_table *table;
	struct hash_random random;
	struct attempts attempts;
};

UNUSED static void bed_init(struct bed *bed)
{
	fleet_init(&bed->fleet);
	fleet_add(&bed->fleet, "a", BACKEND_GENERIC);
	fleet_discover(&bed->fleet, "a", "m g lone");
	fleet_add(&bed->fleet, "b", BACKEND_GENERIC);
	fleet_discover(&bed->fleet, "b", "m");
	fleet_add(&bed->fleet, "c", BACKEND_GENERIC);
	fleet_discover(&bed->fleet, "c", "m");
	fleet_add(&bed->fleet, "d", BACKEND_GENERIC);
	fleet_discover(&bed->fleet, "d", "f g");
	fleet_alias(&bed->fleet, "spectre", "ghost");
	fleet_fallback(&bed->fleet, "m", (const char *const[]){"f", "g", "h", NULL});
	/* So that a walk goes from a to d. */
	for (size_t i = 0; i < bed->fleet.config.n_backends; i++)
		bed->fleet.backend_configs[i].priority = i;
	bed->fleet.config.routing.strategy = STRATEGY_PRIORITY_ONLY;
	bed->table = fleet_build(&bed->fleet, NULL);
	hash_random_init(&bed->random, (struct hash_seed){3, 4});
}

UNUSED static void bed_done(struct bed *bed)
{
	attempts_done(&bed->attempts);
	route_table_unref(bed->table);
	fleet_done(&bed->fleet);
}

UNUSED static void ask(struct bed *bed, const char *model)
{
	int r = attempts_init(&bed->attempts, bed->table, fleet_find(bed->table, model),
			      &bed->random);

	if (r < 0)
		abort();
}

/* Fails every attempt and writes down the walk as "model/backend", with a ~ where it was to wait;
 * returns the verdict at its end. */
UNUSED static enum attempts_verdict walk_with(struct bed *bed, bool is_again, char *text,
					      size_t size)
{
	const struct candidate *candidate;
	enum attempts_verdict verdict;
	uint64_t wait_ns;
	size_t n = 0;

	text[0] = '\0';
	while ((verdict = attempts_next(&bed->attempts, &candidate, &wait_ns)) == ATTEMPTS_GO) {
		if (is_again || wait_ns == 0)
			n += (size_t)snprintf(
				text + n, size - n, "%s%s%s/%s", n ? " " : "", wait_ns ? "~" : "",
				attempts_model(&bed->attempts)->id, candidate->backend->name);
		attempts_note(&bed->attempts, OUTCOME_HTTP_5XX, 503);
	}
	return verdict;
}

UNUSED static enum attempts_verdict walk(struct bed *bed, char *text, size_t size)
{
	return walk_with(bed, true, text, size);
}

/* Leaves out where the same backend comes again. */
UNUSED static enum attempts_verdict walk_once(struct bed *bed, char *text, size_t size)
{
	return walk_with(bed, false, text, size);
}

/* What ails a backend, or what a backend knows of a model: "a-" unhealthy, "a?" not yet checked,
 * "a~" draining, "a*" held, "a/" with an open circuit, "a!" has neither vision nor tools nor JSON
 * mode. */
UNUSED static void set_up(struct bed *bed, const char *states)
{
	for (size_t i = 0; i < bed->fleet.config.n_backends; i++)
		fleet_set_health(&bed->fleet, bed->fleet.backend_configs[i].name, BACKEND_HEALTHY);
	for (; states[0]; states += states[2] == ' ' ? 3 : 2) {
		const char name[2] = {states[0], '\0'};
		struct backend *backend = fleet_backend(&bed->fleet, name);

		if (states[1] == '-')
			fleet_set_health(&bed->fleet, name, BACKEND_UNHEALTHY);
		if (states[1] == '?')
			fleet_set_health(&bed->fleet, name, BACKEND_UNKNOWN);
		if (states[1] == '~')
			(void)backend_drain(backend, BACKEND_DRAIN_ADDRESS);
		if (states[1] == '*')
			backend_hold(backend, UINT64_MAX);
		if (states[1] == '/')
			atomic_store(&backend->breaker.until_ns, UINT64_MAX);
		for (size_t i = 0; states[1] == '!' && i < backend->n_models; i++) {
			backend->models[i].vision = TRISTATE_NO;
			backend->models[i].context_length = 100;
		}
	}
	route_table_unref(bed->table);
	bed->table = fleet_build(&bed->fleet, NULL);
}
