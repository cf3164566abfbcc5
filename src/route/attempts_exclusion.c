/* SPDX-License-Identifier: Apache-2.0 */
/* Which backends of a model are out of the question for a request, and why. */
#include "route/attempts.h"

const char *exclusion_name(enum exclusion exclusion)
{
	static const char *const names[] = {
		[EXCLUDED_UNHEALTHY] = "unhealthy",
		[EXCLUDED_DRAINING] = "draining",
		[EXCLUDED_CIRCUIT_OPEN] = "circuit_open",
		[EXCLUDED_RATE_LIMITED] = "rate_limited_upstream",
		[EXCLUDED_SATURATED] = "saturated",
		[EXCLUDED_CAPABILITY] = "capability",
		[EXCLUDED_PRIVACY] = "privacy",
		[EXCLUDED_TIER] = "tier",
	};

	return names[exclusion];
}

const char *attempts_missing_capability(const struct attempts *a, const struct candidate *candidate)
{
	const struct backend_model *model = candidate->model;

	if (a->needs & NEED_VISION && model->vision == TRISTATE_NO)
		return "vision";
	if (a->needs & NEED_TOOLS && model->tools == TRISTATE_NO)
		return "tools";
	if (a->needs & NEED_JSON_MODE && model->json_mode == TRISTATE_NO)
		return "json_mode";
	if (model->context_length > 0 && model->context_length < a->prompt_tokens_min)
		return "context_length";
	return NULL;
}

/* An optional backend counts only once it has answered; any other may be tried before its first
 * health check has ended. */
static bool is_up(const struct candidate *candidate)
{
	int health = atomic_load_explicit(&candidate->backend->health, memory_order_relaxed);

	return health == BACKEND_HEALTHY ||
	       (health == BACKEND_UNKNOWN && !candidate->config->optional);
}

/* The highest tier that may serve it; 0: any. */
static uint64_t highest_tier(const struct attempts *a, struct demand demand)
{
	if (a->tier_wish == TIER_FLEXIBLE)
		return 0;
	if (a->tier_wish == TIER_STRICT && (!demand.max_tier || demand.min_tier < demand.max_tier))
		return demand.min_tier;
	return demand.max_tier;
}

/* A fallback model has to meet what is demanded of the one it stands in for, of itself, and by the
 * name it is given there. */
static struct demand demand_on(const struct attempts *a, const struct candidate *candidate)
{
	struct demand demand = demand_join(a->demand, *candidate->demand);

	for (size_t i = 0; i < a->asked->n_fallbacks; i++)
		if (candidate->demand == &a->asked->fallbacks[i].model->demand)
			return demand_join(demand, a->asked->fallbacks[i].demand);
	return demand;
}

static enum exclusion judge_demand(const struct attempts *a, const struct candidate *candidate)
{
	struct demand demand = demand_on(a, candidate);
	uint64_t tier = candidate->config->tier, highest = highest_tier(a, demand);

	if (demand.restricted && !candidate->restricted)
		return EXCLUDED_PRIVACY;
	if (tier < demand.min_tier || (highest > 0 && tier > highest))
		return EXCLUDED_TIER;
	return EXCLUDED_NOT;
}

static bool has_place_at(const struct attempts *a, const struct backend *backend)
{
	return a->has_place && a->last->backend == backend;
}

/* A probe with a body that is still arriving would last for as long as the client likes. */
static bool is_cut_off(const struct attempts *a, const struct breaker *breaker)
{
	return a->body_arrives ? breaker_state(breaker, 0) != BREAKER_CLOSED
			       : breaker_refuses(breaker);
}

enum exclusion attempts_exclusion_of(const struct attempts *a, const struct candidate *candidate,
				     bool is_panic)
{
	enum exclusion demanded;

	/* What can never work comes before what may pass. */
	if (attempts_missing_capability(a, candidate))
		return EXCLUDED_CAPABILITY;
	demanded = judge_demand(a, candidate);
	if (demanded != EXCLUDED_NOT)
		return demanded;
	if (backend_is_draining(candidate->backend))
		return EXCLUDED_DRAINING;
	if (!is_up(candidate))
		return EXCLUDED_UNHEALTHY;
	if (backend_held_ns(candidate->backend) > 0)
		return EXCLUDED_RATE_LIMITED;
	if (!is_panic && is_cut_off(a, &candidate->backend->breaker))
		return EXCLUDED_CIRCUIT_OPEN;
	return backend_is_full(candidate->backend, has_place_at(a, candidate->backend))
		       ? EXCLUDED_SATURATED
		       : EXCLUDED_NOT;
}

bool attempts_is_panic(const struct attempts *a, const struct route_model *model)
{
	for (size_t i = 0; i < model->n_candidates; i++) {
		enum exclusion exclusion = attempts_exclusion_of(a, &model->candidates[i], false);

		if (exclusion == EXCLUDED_NOT || exclusion == EXCLUDED_SATURATED)
			return false;
	}
	return true;
}
