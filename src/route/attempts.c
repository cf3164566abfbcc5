/* SPDX-License-Identifier: Apache-2.0 */
#include "route/attempts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define BITS_PER_WORD 64
#define FEW_BACKENDS  64 /* of a configuration that needs no allocation per request */

#define BACKOFF_FIRST_NS (100 * NS_PER_MSEC)
#define BACKOFF_MOST_NS  (2 * NS_PER_SEC)

static size_t n_words(const struct attempts *a)
{
	return (a->table->config->n_backends + BITS_PER_WORD - 1) / BITS_PER_WORD;
}

int attempts_init(struct attempts *a, const struct route_table *table, struct route_model *asked,
		  struct hash_random *random)
{
	*a = (struct attempts){
		.table = table,
		.strategy = strategy_find(table->config->routing.strategy),
		.asked = asked,
		.current = asked,
		.demand = asked->demand,
		.random = random,
	};
	assert(a->strategy); /* the schema lists the names */
	a->tried = &a->tried_inline;
	if (table->config->n_backends <= FEW_BACKENDS)
		return 0;
	a->tried = calloc(n_words(a), sizeof(*a->tried));
	a->usable = calloc(table->config->n_backends, sizeof(const struct candidate *));
	if (a->tried && a->usable)
		return 0;
	attempts_done(a);
	return -ENOMEM;
}

/* Of an attempt that says nothing about its backend. */
static void drop_pass(struct attempts *a)
{
	const struct breaker_report report = {.pass = a->pass, .evidence = BREAKER_NOTHING};

	if (!a->has_pass)
		return;
	(void)breaker_report(&a->last->backend->breaker, &a->table->config->breaker, &report);
	a->has_pass = false;
}

void attempts_leave(struct attempts *a)
{
	drop_pass(a);
	if (a->has_place)
		backend_leave(a->last->backend);
	a->has_place = false;
}

void attempts_done(struct attempts *a)
{
	attempts_leave(a);
	if (a->tried != &a->tried_inline)
		free(a->tried);
	free(a->usable);
	a->tried = NULL;
	a->usable = NULL;
}

static bool was_tried(const struct attempts *a, const struct candidate *candidate)
{
	return a->tried[candidate->index / BITS_PER_WORD] >> candidate->index % BITS_PER_WORD & 1;
}

static void set_tried(struct attempts *a, const struct candidate *candidate)
{
	a->tried[candidate->index / BITS_PER_WORD] |= 1ull << candidate->index % BITS_PER_WORD;
}

static bool has_tries(const struct attempts *a)
{
	return a->tries_of_model <= a->table->config->routing.max_retries;
}

/* Only a known no excludes. */
static bool is_capable(const struct attempts *a, const struct backend_model *model)
{
	if ((a->needs & NEED_VISION && model->vision == TRISTATE_NO) ||
	    (a->needs & NEED_TOOLS && model->tools == TRISTATE_NO) ||
	    (a->needs & NEED_JSON_MODE && model->json_mode == TRISTATE_NO))
		return false;
	return model->context_length == 0 || model->context_length >= a->prompt_tokens_min;
}

/* An optional backend counts only once it has answered; any other may be tried before its first
 * health check has ended. */
static bool is_up(const struct candidate *candidate)
{
	int health = atomic_load_explicit(&candidate->backend->health, memory_order_relaxed);

	return health == BACKEND_HEALTHY ||
	       (health == BACKEND_UNKNOWN && !candidate->config->optional);
}

static bool is_strict(const struct attempts *a, struct demand demand)
{
	return a->tier_wish == TIER_AS_DEMANDED ? demand.strict : a->tier_wish == TIER_STRICT;
}

/* A fallback model has to meet what is demanded of the one it stands in for, and of itself. */
static enum exclusion judge_demand(const struct attempts *a, const struct candidate *candidate)
{
	struct demand demand = demand_join(a->demand, *candidate->demand);
	uint64_t tier = candidate->config->tier;

	if (demand.restricted && !candidate->restricted)
		return EXCLUDED_PRIVACY;
	if (tier < demand.min_tier ||
	    (tier > demand.min_tier && demand.min_tier > 0 && is_strict(a, demand)))
		return EXCLUDED_TIER;
	return N_EXCLUSIONS;
}

static bool has_place_at(const struct attempts *a, const struct backend *backend)
{
	return a->has_place && a->last->backend == backend;
}

enum exclusion attempts_exclusion_of(const struct attempts *a, const struct candidate *candidate,
				     bool is_panic)
{
	enum exclusion demanded;

	/* What can never work comes before what may pass. */
	if (!is_capable(a, candidate->model))
		return EXCLUDED_CAPABILITY;
	demanded = judge_demand(a, candidate);
	if (demanded != N_EXCLUSIONS)
		return demanded;
	if (backend_is_draining(candidate->backend))
		return EXCLUDED_DRAINING;
	if (!is_up(candidate))
		return EXCLUDED_UNHEALTHY;
	if (backend_held_ns(candidate->backend) > 0)
		return EXCLUDED_RATE_LIMITED;
	if (!is_panic && breaker_refuses(&candidate->backend->breaker))
		return EXCLUDED_CIRCUIT_OPEN;
	return backend_is_full(candidate->backend, has_place_at(a, candidate->backend))
		       ? EXCLUDED_SATURATED
		       : N_EXCLUSIONS;
}

bool attempts_is_panic(const struct attempts *a, const struct route_model *model)
{
	for (size_t i = 0; i < model->n_candidates; i++) {
		enum exclusion exclusion = attempts_exclusion_of(a, &model->candidates[i], false);

		if (exclusion == N_EXCLUSIONS || exclusion == EXCLUDED_SATURATED)
			return false;
	}
	return true;
}

static bool has_usable(const struct attempts *a, const struct route_model *model)
{
	bool is_panic = attempts_is_panic(a, model);

	for (size_t i = 0; i < model->n_candidates; i++)
		if (attempts_exclusion_of(a, &model->candidates[i], is_panic) == N_EXCLUSIONS)
			return true;
	return false;
}

static void count_exclusions(struct attempts *a)
{
	bool is_panic;

	if (a->exclusions_counted)
		return;
	a->exclusions_counted = true;
	is_panic = attempts_is_panic(a, a->current);
	for (size_t i = 0; i < a->current->n_candidates; i++) {
		enum exclusion exclusion =
			attempts_exclusion_of(a, &a->current->candidates[i], is_panic);

		if (exclusion == N_EXCLUSIONS)
			continue;
		a->excluded[exclusion]++;
		a->left_out |= 1u << exclusion;
	}
}

enum wanted { FRESH, NOT_THE_LAST, ANY };

static bool is_wanted(const struct attempts *a, const struct candidate *candidate, bool is_panic,
		      enum wanted wanted)
{
	if (attempts_exclusion_of(a, candidate, is_panic) != N_EXCLUSIONS)
		return false;
	if (wanted == FRESH)
		return !was_tried(a, candidate);
	return wanted == ANY || !a->last || candidate->backend != a->last->backend;
}

static void leave_out(const struct candidate **usable, size_t *n, size_t index)
{
	memmove(&usable[index], &usable[index + 1], (--*n - index) * sizeof(*usable));
}

static bool take(struct attempts *a, const struct candidate *candidate, bool is_panic)
{
	if (!backend_enter(candidate->backend))
		return false;
	a->told_ns = 0;
	a->has_pass = breaker_enter(&candidate->backend->breaker, is_panic, &a->pass);
	a->has_place = a->has_pass;
	if (!a->has_place)
		backend_leave(candidate->backend);
	return a->has_place;
}

/* The strategy's choice among the current model's candidates; NULL when there is none. */
static const struct candidate *pick(struct attempts *a, enum wanted wanted)
{
	const struct candidate *few[FEW_BACKENDS];
	const struct candidate **usable = a->usable ? a->usable : few;
	struct choice choice = {
		.table = a->table,
		.model = a->current,
		.usable = usable,
		.session = a->session,
		.random = a->random,
	};
	bool is_panic = attempts_is_panic(a, a->current);

	for (size_t i = 0; i < a->current->n_candidates; i++)
		if (is_wanted(a, &a->current->candidates[i], is_panic, wanted))
			usable[choice.n++] = &a->current->candidates[i];
	while (choice.n > 0) {
		size_t picked = a->strategy->pick(&choice);
		const struct candidate *candidate = usable[picked];

		assert(picked < choice.n);
		if (take(a, candidate, is_panic))
			return candidate;
		/* Another request was quicker. */
		leave_out(usable, &choice.n, picked);
	}
	return NULL;
}

static bool go_to_next_fallback(struct attempts *a)
{
	if (a->next_fallback == a->asked->n_fallbacks)
		return false;
	if (!a->again && a->tries_of_model > 0 && has_tries(a)) {
		a->again = a->current;
		a->tries_of_again = a->tries_of_model;
	}
	a->current = a->asked->fallbacks[a->next_fallback++];
	a->tries_of_model = 0;
	a->exclusions_counted = false;
	for (size_t i = 0; i < n_words(a); i++)
		a->tried[i] = 0;
	return true;
}

static const struct candidate *pick_fresh(struct attempts *a)
{
	const struct candidate *candidate = NULL;

	/* What was tried at a model that is taken up again is not known any more. */
	while (!a->is_again) {
		count_exclusions(a);
		candidate = has_tries(a) ? pick(a, FRESH) : NULL;
		if (candidate || !go_to_next_fallback(a))
			break;
	}
	return candidate;
}

static const struct candidate *pick_again(struct attempts *a)
{
	const struct candidate *candidate;

	if (a->again && has_usable(a, a->again)) {
		a->current = a->again;
		a->tries_of_model = a->tries_of_again;
		a->again = NULL;
		a->is_again = true;
	}
	if (!has_tries(a))
		return NULL;
	candidate = pick(a, NOT_THE_LAST);
	return candidate ? candidate : pick(a, ANY);
}

/* Full jitter: anything from none to a ceiling that doubles. */
static uint64_t backoff_ns(struct attempts *a)
{
	uint64_t most_ns = BACKOFF_FIRST_NS;

	for (unsigned i = 0; i < a->repeats && most_ns < BACKOFF_MOST_NS; i++)
		most_ns *= 2;
	a->repeats++;
	if (most_ns > BACKOFF_MOST_NS)
		most_ns = BACKOFF_MOST_NS;
	return hash_random_below(a->random, most_ns + 1);
}

static enum attempts_verdict judge_model(const struct attempts *a, const struct route_model *model)
{
	if (model->n_candidates == 0)
		return ATTEMPTS_NO_BACKEND;
	for (size_t i = 0; i < model->n_candidates; i++)
		if (attempts_exclusion_of(a, &model->candidates[i], false) != EXCLUDED_CAPABILITY)
			return ATTEMPTS_NO_HEALTHY;
	return ATTEMPTS_MISMATCH;
}

/* Why nothing could be tried: a mismatch only if it is one everywhere, else the more hopeful. */
static enum attempts_verdict judge_chain(const struct attempts *a)
{
	enum attempts_verdict verdict = judge_model(a, a->asked);

	for (size_t i = 0; i < a->asked->n_fallbacks && verdict != ATTEMPTS_NO_HEALTHY; i++) {
		enum attempts_verdict next = judge_model(a, a->asked->fallbacks[i]);

		if (next != verdict)
			verdict = next == ATTEMPTS_NO_HEALTHY ? next : ATTEMPTS_NO_BACKEND;
	}
	return verdict;
}

enum attempts_verdict attempts_next(struct attempts *a, const struct candidate **ret_candidate,
				    uint64_t *ret_wait_ns)
{
	const struct candidate *candidate;
	uint64_t wait_ns = 0;

	attempts_leave(a);
	candidate = pick_fresh(a);
	if (!candidate && a->tries > 0) {
		candidate = pick_again(a);
		wait_ns = candidate ? backoff_ns(a) : 0;
	}
	if (!candidate)
		return a->tries > 0 ? ATTEMPTS_EXHAUSTED : judge_chain(a);
	set_tried(a, candidate);
	a->last = candidate;
	a->tries++;
	a->tries_of_model++;
	*ret_candidate = candidate;
	*ret_wait_ns = wait_ns;
	return ATTEMPTS_GO;
}

bool attempts_may_retry(const struct attempts *a)
{
	if (has_tries(a) && has_usable(a, a->current))
		return true;
	for (size_t i = a->next_fallback; i < a->asked->n_fallbacks; i++)
		if (has_usable(a, a->asked->fallbacks[i]))
			return true;
	return a->again && has_usable(a, a->again);
}

bool attempts_may_ask_another(const struct attempts *a)
{
	bool is_panic = attempts_is_panic(a, a->current);

	for (size_t i = 0; i < a->current->n_candidates && has_tries(a); i++)
		if (is_wanted(a, &a->current->candidates[i], is_panic, FRESH))
			return true;
	return false;
}
