/* SPDX-License-Identifier: Apache-2.0 */
/* Which places a request waits for when it has none. */
#include "route/attempts.h"

const struct route_model *attempts_chain_at(const struct attempts *a, size_t i)
{
	if (i == 0)
		return a->asked;
	return i <= a->asked->n_fallbacks ? a->asked->fallbacks[i - 1] : NULL;
}

static bool is_left_with_tries(const struct attempts *a, size_t at)
{
	return a->spent[at] <= a->table->config->routing.max_retries;
}

bool attempts_may_wait(const struct attempts *a)
{
	const struct route_model *model;

	for (size_t i = 0; (model = attempts_chain_at(a, i)); i++) {
		bool is_panic = attempts_is_panic(a, model);

		for (size_t k = 0; k < model->n_candidates && is_left_with_tries(a, i); k++) {
			enum exclusion exclusion =
				attempts_exclusion_of(a, &model->candidates[k], is_panic);

			if (exclusion == EXCLUDED_SATURATED ||
			    (exclusion == N_EXCLUSIONS && a->spent[i] == 0))
				return true;
		}
	}
	return false;
}

const struct candidate *attempts_find_wanted(const struct attempts *a,
					     const struct backend *backend, size_t *ret_at)
{
	const struct route_model *model;

	for (size_t i = 0; (model = attempts_chain_at(a, i)); i++) {
		for (size_t k = 0; k < model->n_candidates && is_left_with_tries(a, i); k++) {
			const struct candidate *candidate = &model->candidates[k];
			enum exclusion exclusion;

			if (candidate->backend != backend)
				continue;
			exclusion =
				attempts_exclusion_of(a, candidate, attempts_is_panic(a, model));
			*ret_at = i;
			if (exclusion == N_EXCLUSIONS || exclusion == EXCLUDED_SATURATED)
				return candidate;
		}
	}
	return NULL;
}

bool attempts_wants(const struct attempts *a, const struct backend *backend)
{
	size_t at;

	return attempts_find_wanted(a, backend, &at);
}
