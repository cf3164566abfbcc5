/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attempts of one request: which backend next, after which wait, and what was tried. Walks the
 * model asked for and then its fallbacks; never the same backend twice for a model while another
 * is left, of a fallback's first those that no model was tried at, and the last attempt of a model
 * is kept for one that has no place yet; at most 1 + routing.max_retries attempts per model.
 * Embedded in the request; worker-local.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/outcome.h"
#include "route/strategy.h"

enum route_need { NEED_VISION = 1, NEED_TOOLS = 2, NEED_JSON_MODE = 4 };

enum exclusion {
	EXCLUDED_UNHEALTHY,
	EXCLUDED_DRAINING,
	EXCLUDED_CIRCUIT_OPEN,
	EXCLUDED_RATE_LIMITED, /* it said 429 and when to come back */
	EXCLUDED_SATURATED,    /* its max_concurrent is reached */
	EXCLUDED_CAPABILITY,
	EXCLUDED_PRIVACY, /* a policy demands another zone */
	EXCLUDED_TIER,    /* or another tier */
	N_EXCLUSIONS,
	EXCLUDED_NOT = N_EXCLUSIONS
};
/* "unhealthy", "draining" ...: the values of nexus_routing_exclusions_total{reason}. */
const char *exclusion_name(enum exclusion exclusion);

/* Whether a tier above the least one that a policy demands may stand in. */
enum tier_wish { TIER_AS_DEMANDED, TIER_STRICT, TIER_FLEXIBLE };

enum attempts_verdict {
	ATTEMPTS_GO,         /* *ret_candidate is the next one */
	ATTEMPTS_MISMATCH,   /* candidates exist, all excluded by capability */
	ATTEMPTS_NO_BACKEND, /* nobody lists the model */
	ATTEMPTS_NO_HEALTHY, /* somebody does, none is usable */
	ATTEMPTS_SATURATED,  /* all that are have as many requests as they take: wait for a place */
	ATTEMPTS_EXHAUSTED   /* at least one was tried and nothing is left */
};

#define ATTEMPTS_RECORDED_MAX 16 /* of them are told in the error's context */
#define ATTEMPTS_CHAIN_MAX    17 /* the model asked for and its fallbacks, see schema.def */
#define ATTEMPTS_NO_MODEL     ATTEMPTS_CHAIN_MAX /* a place past the end of every chain */

struct queue;

/* A place at a backend and the way through its circuit, had by waiting; NULL: none. */
struct grant {
	struct backend *backend;
	struct breaker_pass pass;
};

struct attempt_record {
	const char *backend; /* the table's */
	enum outcome outcome;
	unsigned status;
};

struct attempts {
	const struct route_table *table;
	const struct strategy *strategy;
	struct route_model *asked; /* aliases resolved */
	size_t at;                 /* the model whose turn it is: its place in the chain */
	struct demand demand;      /* for the name asked for; also of fallbacks */
	enum tier_wish tier_wish;
	uint64_t session; /* what the request belongs to, hashed; 0 unknown */
	unsigned needs;
	bool body_arrives;          /* while it is sent on: it is no probe for an open circuit */
	uint64_t prompt_tokens_min; /* a lower bound; excludes models whose known context is smaller
				     */
	struct hash_random *random;
	struct queue *queue; /* told when a place is given back; NULL: there is none */

	unsigned tries;
	unsigned short spent[ATTEMPTS_CHAIN_MAX]; /* of them, by each model of the chain */
	uint64_t *tried;                 /* bit set over config->backends: at the current model */
	uint64_t *ever;                  /* the same: at any of the chain */
	uint64_t few[2];                 /* both, when they fit */
	const struct candidate **usable; /* room to choose from; NULL when few fit the stack */
	const struct candidate *last;
	struct breaker_pass pass; /* of the attempt at it; to be given back while `has_pass` */
	bool has_pass;
	bool has_place;   /* at the last one's backend */
	uint64_t told_ns; /* the Retry-After of its answer */
	struct attempt_record records[ATTEMPTS_RECORDED_MAX];
	unsigned n_records;

	/* Once only backends are left that were tried already */
	size_t again_at; /* the first model of the chain that was left with tries, if any */
	unsigned repeats;
	bool is_again;   /* the walk has gone back: no fallback follows */
	bool only_fresh; /* it waits for a backend that was not asked yet, although others have
			  * places */

	/* Backends left out, counted once for each model of the chain whose turn came; for
	 * nexus_routing_exclusions_total. */
	unsigned excluded[N_EXCLUSIONS];
	size_t n_counted;  /* so many models of the chain */
	unsigned left_out; /* bit set of all reasons met */
};

/* `a` keeps borrowing `table`, which the request references, and `random`. The caller sets `needs`,
 * `prompt_tokens_min`, `tier_wish`, `session` and what an alias adds to `demand` afterwards.
 * -ENOMEM. */
int attempts_init(struct attempts *a, const struct route_table *table, struct route_model *asked,
		  struct hash_random *random) MUST_CHECK;
void attempts_done(struct attempts *a);

/* *ret_wait_ns is 0, or the jittered time to let pass because the same backend comes again. Both
 * are untouched unless the verdict is ATTEMPTS_GO. Afterwards attempts_model() is the one to ask
 * for, and attempts_tries() is above 1 when it is a retry at that model. */
enum attempts_verdict attempts_next(struct attempts *a, const struct candidate **ret_candidate,
				    uint64_t *ret_wait_ns);
/* Does this end of an attempt leave another backend to be tried? Not for other 4xx: they would say
 * the same. */
bool attempts_is_retryable(enum outcome outcome, unsigned status);
/* The model at a place of the chain, 0 being the one asked for; NULL past its end. */
static inline const struct route_model *attempts_chain_at(const struct attempts *a, size_t i)
{
	if (i == 0)
		return a->asked;
	return i <= a->asked->n_fallbacks ? a->asked->fallbacks[i - 1].model : NULL;
}
/* The model whose turn it is. */
static inline const struct route_model *attempts_model(const struct attempts *a)
{
	const struct route_model *model = attempts_chain_at(a, a->at);

	assert(model);
	return model;
}
/* How often it was tried. */
static inline unsigned attempts_tries(const struct attempts *a)
{
	return a->spent[a->at];
}
/* The answer to an attempt at that model of the chain is taken after all. */
static inline void attempts_go_back(struct attempts *a, size_t at)
{
	a->at = at;
}
/* Was it tried, for whichever model? */
bool attempts_was_tried(const struct attempts *a, const struct candidate *candidate);
/* Is there anything to wait for? A place may have become free since it was looked for: the queue
 * hands it out at once. */
bool attempts_may_wait(const struct attempts *a);
/* Is a backend of the current model that was not asked yet only without a place? */
bool attempts_awaits_fresh(const struct attempts *a);
/* The first model of the chain that may be asked for with this grant, and its place there; NULL
 * when none may. */
const struct candidate *attempts_find_wanted(const struct attempts *a, const struct grant *grant,
					     size_t *ret_at);
/* Would a place at this backend help? Any thread, while the request waits. */
bool attempts_wants(const struct attempts *a, struct backend *backend);
/* The candidate to go to with what was granted, as if attempts_next() had given it. NULL when the
 * backend has become unusable meanwhile; the grant is declined then. */
const struct candidate *attempts_grant(struct attempts *a, struct grant grant);
/* It is not made use of, and for others. */
void attempts_decline(struct attempts *a, struct grant grant);
/* The candidate that attempts_next() gave last is tried once more, beyond the count; to be called
 * before attempts_leave(). */
void attempts_repeat(struct attempts *a);
/* How an attempt of it goes through a circuit: for breaker_enter(). */
unsigned attempts_way_in(const struct attempts *a, bool anyway);
/* The last attempt is over and none follows for now: gives its place free. Safe to call again;
 * attempts_next() and attempts_done() call it, too. */
void attempts_leave(struct attempts *a);
/* An answer to the attempt under way has begun that looks like none to be retried. */
enum breaker_change attempts_answered(struct attempts *a);
/* Whatever else comes of the attempt under way, this is known: its circuit hears of it now, and not
 * again. Call it before it is judged whether another attempt is possible. */
enum breaker_change attempts_report(struct attempts *a, enum outcome outcome, unsigned status);
/* However the attempt under way ends, that says nothing about its backend: its circuit does not
 * hear of it. */
void attempts_excuse(struct attempts *a);
/* The answer to the attempt under way asks to come back after that time; call it before it is
 * judged whether another attempt is possible. */
void attempts_told_to_wait(struct attempts *a, unsigned status, uint64_t wait_ns);
/* Notes how the attempt that attempts_next() gave last has ended; a dead connection makes the
 * backend suspect. */
enum breaker_change attempts_note(struct attempts *a, enum outcome outcome, unsigned status);
/* The wait is over that attempts_next() wanted: may the candidate still be tried? If not it was
 * not tried, and attempts_next() is due. */
bool attempts_confirm(struct attempts *a);
/* Is another attempt possible, without a place that is not there, should the current one fail? */
bool attempts_may_retry(const struct attempts *a);
/* And without a wait before the same backend is asked again? */
bool attempts_may_retry_at_once(const struct attempts *a);
/* Is a usable backend of the current model left that was not tried yet? */
bool attempts_may_ask_another(const struct attempts *a);
/* None of the model's backends would be left to this request, now or when there is a place again,
 * but those whose circuits are open: these are not heeded then. */
bool attempts_is_panic(const struct attempts *a, const struct route_model *model);
/* What the request needs and the candidate is known not to have: "vision", "tools", "json_mode" or
 * "context_length"; NULL: nothing. */
const char *attempts_missing_capability(const struct attempts *a,
					const struct candidate *candidate);
/* Why the candidate may not be tried for this request; EXCLUDED_NOT when it may. `is_panic` of its
 * model. */
enum exclusion attempts_exclusion_of(const struct attempts *a, const struct candidate *candidate,
				     bool is_panic);
static inline bool attempts_has_left_out(const struct attempts *a, enum exclusion exclusion)
{
	return a->left_out >> exclusion & 1;
}
/* Until the first backend of the chain that is left alone for a time, for its 429 or its open
 * circuit, may be asked again; UINT64_MAX when none is. */
uint64_t attempts_pause_ns(const struct attempts *a);
/* When to come back, for Retry-After and the context: at once after failed attempts; when no
 * backend was usable, with the first one that is left alone no more, or else the next health
 * checks.
 */
uint64_t attempts_retry_after_seconds(const struct attempts *a);
/* {"model","tried":[{"backend","outcome","status"}],"excluded":[{"backend","reason","missing"}],
 * "retry_after_seconds"}; the last one unless it is `for_good`. -ENOMEM. */
int attempts_context(const struct attempts *a, bool for_good, struct buf *out) MUST_CHECK;
