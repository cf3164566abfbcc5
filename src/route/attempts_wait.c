/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a request that cannot go on waits for a place, and where. */
#include "route/attempts.h"

static bool is_left_with_tries(const struct attempts *a, size_t at)
{
	return a->spent[at] <= a->table->config->routing.max_retries;
}

bool attempts_awaits_fresh(const struct attempts *a)
{
	const struct route_model *model = attempts_model(a);
	bool is_panic = attempts_is_panic(a, model);

	for (size_t i = 0; i < model->n_candidates; i++) {
		const struct candidate *candidate = &model->candidates[i];

		if (!attempts_was_tried(a, candidate) &&
		    attempts_exclusion_of(a, candidate, is_panic) == EXCLUDED_SATURATED)
			return true;
	}
	return false;
}

/* Another one was asked already, and is not to be had for the attempt that is left. */
static bool is_passed_over(const struct attempts *a, const struct candidate *candidate)
{
	return a->only_fresh && attempts_was_tried(a, candidate);
}

/* Of what was asked and has a place attempts_next() would have made use. */
static bool is_hope(const struct attempts *a, const struct candidate *candidate, size_t at,
		    bool is_panic)
{
	switch (attempts_exclusion_of(a, candidate, is_panic)) {
	case EXCLUDED_SATURATED:
		return !is_passed_over(a, candidate);
	case EXCLUDED_NOT:
		return a->spent[at] == 0 || !attempts_was_tried(a, candidate);
	default:
		return false;
	}
}

bool attempts_may_wait(const struct attempts *a)
{
	const struct route_model *model;

	for (size_t i = 0; (model = attempts_chain_at(a, i)); i++) {
		bool is_panic = attempts_is_panic(a, model);

		for (size_t k = 0; k < model->n_candidates && is_left_with_tries(a, i); k++)
			if (is_hope(a, &model->candidates[k], i, is_panic))
				return true;
	}
	return false;
}

/* Nobody else is let through while it probes. */
static bool is_in_the_way(enum exclusion exclusion, const struct grant *grant)
{
	return exclusion != EXCLUDED_NOT && exclusion != EXCLUDED_SATURATED &&
	       !(exclusion == EXCLUDED_CIRCUIT_OPEN && grant->pass.is_probe);
}

const struct candidate *attempts_find_wanted(const struct attempts *a, const struct grant *grant,
					     size_t *ret_at)
{
	const struct route_model *model;

	for (size_t i = 0; (model = attempts_chain_at(a, i)); i++) {
		for (size_t k = 0; k < model->n_candidates && is_left_with_tries(a, i); k++) {
			const struct candidate *candidate = &model->candidates[k];
			enum exclusion exclusion;

			if (candidate->backend != grant->backend || is_passed_over(a, candidate))
				continue;
			exclusion =
				attempts_exclusion_of(a, candidate, attempts_is_panic(a, model));
			*ret_at = i;
			if (!is_in_the_way(exclusion, grant))
				return candidate;
		}
	}
	return NULL;
}

bool attempts_wants(const struct attempts *a, struct backend *backend)
{
	const struct grant none_yet = {.backend = backend};
	size_t at;

	return attempts_find_wanted(a, &none_yet, &at);
}
