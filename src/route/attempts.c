/* SPDX-License-Identifier: Apache-2.0 */
#include "route/attempts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "route/queue.h"

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
		.strategy = strategy_at(table->config->routing.strategy),
		.asked = asked,
		.demand = asked->demand,
		.random = random,
		.again_at = ATTEMPTS_NO_MODEL,
	};
	a->tried = &a->few[0];
	a->ever = &a->few[1];
	if (table->config->n_backends <= FEW_BACKENDS)
		return 0;
	a->tried = calloc(n_words(a), sizeof(*a->tried));
	a->ever = calloc(n_words(a), sizeof(*a->ever));
	a->usable = calloc(table->config->n_backends, sizeof(const struct candidate *));
	if (a->tried && a->ever && a->usable)
		return 0;
	attempts_done(a);
	return -ENOMEM;
}

/* Of an attempt that says nothing about its backend. */
static void drop_pass(struct attempts *a, struct backend *backend, struct breaker_pass pass)
{
	const struct breaker_report report = {.pass = pass, .evidence = BREAKER_NOTHING};

	(void)breaker_report(&backend->breaker, &a->table->config->breaker, &report);
}

void attempts_decline(struct attempts *a, struct grant grant)
{
	drop_pass(a, grant.backend, grant.pass);
	queue_give_back(a->queue, grant.backend);
}

void attempts_excuse(struct attempts *a)
{
	if (a->has_pass)
		drop_pass(a, a->last->backend, a->pass);
	a->has_pass = false;
}

void attempts_leave(struct attempts *a)
{
	attempts_excuse(a);
	if (a->has_place)
		queue_give_back(a->queue, a->last->backend);
	a->has_place = false;
}

void attempts_done(struct attempts *a)
{
	attempts_leave(a);
	if (a->tried != &a->few[0]) {
		free(a->tried);
		free(a->ever);
	}
	free(a->usable);
	a->tried = a->ever = NULL;
	a->usable = NULL;
}

static bool has(const uint64_t *set, const struct candidate *candidate)
{
	return set[candidate->index / BITS_PER_WORD] >> candidate->index % BITS_PER_WORD & 1;
}

static void add(uint64_t *set, const struct candidate *candidate)
{
	set[candidate->index / BITS_PER_WORD] |= 1ull << candidate->index % BITS_PER_WORD;
}

bool attempts_was_tried(const struct attempts *a, const struct candidate *candidate)
{
	return has(a->ever, candidate);
}

static bool has_tries(const struct attempts *a)
{
	return attempts_tries(a) <= a->table->config->routing.max_retries;
}

static bool has_usable(const struct attempts *a, const struct route_model *model)
{
	bool is_panic = attempts_is_panic(a, model);

	for (size_t i = 0; i < model->n_candidates; i++)
		if (attempts_exclusion_of(a, &model->candidates[i], is_panic) == EXCLUDED_NOT)
			return true;
	return false;
}

static void count_exclusions(struct attempts *a)
{
	const struct route_model *model = attempts_model(a);
	bool is_panic;

	if (a->at < a->n_counted)
		return;
	a->n_counted = a->at + 1;
	is_panic = attempts_is_panic(a, model);
	for (size_t i = 0; i < model->n_candidates; i++) {
		enum exclusion exclusion =
			attempts_exclusion_of(a, &model->candidates[i], is_panic);

		if (exclusion == EXCLUDED_NOT)
			continue;
		a->excluded[exclusion]++;
		a->left_out |= 1u << exclusion;
		if (exclusion == EXCLUDED_CIRCUIT_OPEN && a->body_arrives)
			breaker_await_check(&model->candidates[i].backend->breaker);
	}
}

enum wanted { NEVER_TRIED, FRESH, NOT_THE_LAST, ANY };

static bool is_wanted(const struct attempts *a, const struct candidate *candidate, bool is_panic,
		      enum wanted wanted)
{
	if (attempts_exclusion_of(a, candidate, is_panic) != EXCLUDED_NOT)
		return false;
	switch (wanted) {
	case NEVER_TRIED:
		return !has(a->ever, candidate);
	case FRESH:
		return !has(a->tried, candidate);
	case NOT_THE_LAST:
		return !a->last || candidate->backend != a->last->backend;
	case ANY:
		break;
	}
	return true;
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
	a->has_pass =
		breaker_enter(&candidate->backend->breaker, attempts_way_in(a, is_panic), &a->pass);
	a->has_place = a->has_pass;
	if (!a->has_place)
		queue_give_back(a->queue, candidate->backend);
	return a->has_place;
}

/* The strategy's choice among the current model's candidates; NULL when there is none. */
static const struct candidate *pick(struct attempts *a, enum wanted wanted)
{
	const struct candidate *few[FEW_BACKENDS];
	const struct candidate **usable = a->usable ? a->usable : few;
	const struct route_model *model = attempts_model(a);
	struct choice choice = {
		.table = a->table,
		.model = model,
		.usable = usable,
		.session = a->session,
		.random = a->random,
	};
	bool is_panic = attempts_is_panic(a, model);

	for (size_t i = 0; i < model->n_candidates; i++)
		if (is_wanted(a, &model->candidates[i], is_panic, wanted))
			usable[choice.n++] = &model->candidates[i];
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
	if (a->at == a->asked->n_fallbacks)
		return false;
	if (a->again_at == ATTEMPTS_NO_MODEL && attempts_tries(a) > 0 && has_tries(a))
		a->again_at = a->at;
	a->at++;
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
		if (has_tries(a))
			candidate = pick(a, NEVER_TRIED);
		if (has_tries(a) && !candidate)
			candidate = pick(a, FRESH);
		if (candidate || !go_to_next_fallback(a))
			break;
	}
	return candidate;
}

/* Who would be asked again may fail again; a place at another one is worth waiting for. */
static bool is_last_try_kept(const struct attempts *a)
{
	return attempts_tries(a) == a->table->config->routing.max_retries &&
	       a->table->config->queue.enabled && attempts_awaits_fresh(a);
}

static bool may_go_back(const struct attempts *a)
{
	const struct route_model *model = attempts_chain_at(a, a->again_at);

	return model && has_usable(a, model);
}

static const struct candidate *pick_again(struct attempts *a)
{
	const struct candidate *candidate;

	if (may_go_back(a)) {
		a->at = a->again_at;
		a->again_at = ATTEMPTS_NO_MODEL;
		a->is_again = true;
	}
	if (!has_tries(a))
		return NULL;
	a->only_fresh = is_last_try_kept(a) && has_usable(a, attempts_model(a));
	if (a->only_fresh)
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
	const struct route_model *model;

	for (size_t i = 1; verdict != ATTEMPTS_NO_HEALTHY && (model = attempts_chain_at(a, i));
	     i++) {
		enum attempts_verdict next = judge_model(a, model);

		if (next != verdict)
			verdict = next == ATTEMPTS_NO_HEALTHY ? next : ATTEMPTS_NO_BACKEND;
	}
	return verdict;
}

static void count_try(struct attempts *a, const struct candidate *candidate)
{
	add(a->tried, candidate);
	add(a->ever, candidate);
	a->last = candidate;
	a->tries++;
	a->spent[a->at]++;
}

const struct candidate *attempts_grant(struct attempts *a, struct grant grant)
{
	size_t at;
	const struct candidate *candidate = attempts_find_wanted(a, &grant, &at);

	if (!candidate) {
		attempts_decline(a, grant);
		return NULL;
	}
	/* When nothing was tried yet, the walk from here on is the usual one. */
	a->is_again = a->tries > 0;
	a->at = at;
	a->told_ns = 0;
	a->pass = grant.pass;
	a->has_pass = a->has_place = true;
	count_try(a, candidate);
	return candidate;
}

enum attempts_verdict attempts_next(struct attempts *a, const struct candidate **ret_candidate,
				    uint64_t *ret_wait_ns)
{
	const struct candidate *candidate;
	uint64_t wait_ns = 0;

	attempts_leave(a);
	a->only_fresh = false;
	candidate = pick_fresh(a);
	if (!candidate && a->tries > 0) {
		candidate = pick_again(a);
		wait_ns = candidate ? backoff_ns(a) : 0;
	}
	if (!candidate && attempts_may_wait(a))
		return ATTEMPTS_SATURATED;
	if (!candidate)
		return a->tries > 0 ? ATTEMPTS_EXHAUSTED : judge_chain(a);
	count_try(a, candidate);
	*ret_candidate = candidate;
	*ret_wait_ns = wait_ns;
	return ATTEMPTS_GO;
}

bool attempts_may_retry_at_once(const struct attempts *a)
{
	const struct route_model *model;

	if (attempts_may_ask_another(a))
		return true;
	for (size_t i = a->at + 1; !a->is_again && (model = attempts_chain_at(a, i)); i++)
		if (has_usable(a, model))
			return true;
	return false;
}

bool attempts_may_retry(const struct attempts *a)
{
	return attempts_may_retry_at_once(a) || may_go_back(a) ||
	       (has_tries(a) && !is_last_try_kept(a) && has_usable(a, attempts_model(a)));
}

bool attempts_may_ask_another(const struct attempts *a)
{
	const struct route_model *model = attempts_model(a);
	bool is_panic = attempts_is_panic(a, model);

	for (size_t i = 0; i < model->n_candidates && has_tries(a); i++)
		if (is_wanted(a, &model->candidates[i], is_panic, FRESH))
			return true;
	return false;
}
