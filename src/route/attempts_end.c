/* SPDX-License-Identifier: Apache-2.0 */
/* What the end of an attempt says about its backend, and whether another one may follow. */
#include <assert.h>

#include "base/clock.h"
#include "route/attempts.h"

bool attempts_is_retryable(enum outcome outcome, unsigned status)
{
	switch (outcome) {
	case OUTCOME_OK:
	case OUTCOME_CANCELLED:
		return false;
	case OUTCOME_HTTP_4XX:
		return status == 408;
	case OUTCOME_HTTP_429:
	case OUTCOME_HTTP_5XX:
	case OUTCOME_TIMEOUT:
	case OUTCOME_CONNECT:
	case OUTCOME_TLS:
	case OUTCOME_DNS:
	case OUTCOME_RESET:
	case OUTCOME_TRUNCATED:
	case OUTCOME_PARSE:
		return true;
	}
	return false;
}

static bool is_dead_connection(enum outcome outcome)
{
	return outcome == OUTCOME_CONNECT || outcome == OUTCOME_TLS || outcome == OUTCOME_DNS ||
	       outcome == OUTCOME_RESET;
}

/* One that only has too much to do works. */
static enum breaker_evidence evidence_of(enum outcome outcome, unsigned status)
{
	if (outcome == OUTCOME_CANCELLED)
		return BREAKER_NOTHING;
	return outcome != OUTCOME_HTTP_429 && attempts_is_retryable(outcome, status)
		       ? BREAKER_FAILURE
		       : BREAKER_SUCCESS;
}

bool attempts_confirm(struct attempts *a)
{
	if (attempts_exclusion_of(a, a->last, true) == EXCLUDED_NOT)
		return true;
	attempts_leave(a);
	a->tries--;
	a->spent[a->at]--;
	return false;
}

/* While its body arrives an attempt lasts for as long as the client likes: the next one may probe.
 */
unsigned attempts_way_in(const struct attempts *a, bool anyway)
{
	return (anyway ? BREAKER_ANYWAY : 0) | (a->body_arrives ? BREAKER_NO_PROBE : 0);
}

void attempts_repeat(struct attempts *a)
{
	a->told_ns = 0;
	a->has_pass = breaker_enter(&a->last->backend->breaker, attempts_way_in(a, true), &a->pass);
}

void attempts_told_to_wait(struct attempts *a, unsigned status, uint64_t wait_ns)
{
	a->told_ns = wait_ns;
	/* One to a client's own key is that client's. */
	if (status == 429 && wait_ns > 0 && !a->last->config->forward_authorization)
		backend_hold(a->last->backend, clock_monotonic_ns() + wait_ns);
}

enum breaker_change attempts_answered(struct attempts *a)
{
	return breaker_answered(&a->last->backend->breaker, &a->table->config->breaker, &a->pass);
}

enum breaker_change attempts_report(struct attempts *a, enum outcome outcome, unsigned status)
{
	const struct breaker_report report = {
		.pass = a->pass,
		.evidence = evidence_of(outcome, status),
		.now_ns = clock_monotonic_ns(),
		.least_ns = a->told_ns,
	};

	if (!a->has_pass)
		return BREAKER_STAYS;
	a->has_pass = false;
	return breaker_report(&a->last->backend->breaker, &a->table->config->breaker, &report);
}

enum breaker_change attempts_note(struct attempts *a, enum outcome outcome, unsigned status)
{
	struct backend *backend;

	assert(a->last);
	backend = a->last->backend;
	if (is_dead_connection(outcome))
		atomic_store_explicit(&backend->suspect, true, memory_order_relaxed);
	if (a->n_records < ATTEMPTS_RECORDED_MAX)
		a->records[a->n_records++] =
			(struct attempt_record){backend->name, outcome, status};
	return attempts_report(a, outcome, status);
}
