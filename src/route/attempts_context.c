/* SPDX-License-Identifier: Apache-2.0 */
#include "route/attempts.h"

#include "base/clock.h"
#include "base/jsonx.h"

#define EXCLUDED_TOLD_MAX 32

/* How long a backend is left alone for yet, when nothing else speaks against it. */
static uint64_t pause_ns(const struct attempts *a, const struct candidate *candidate)
{
	switch (attempts_exclusion_of(a, candidate, false)) {
	case EXCLUDED_RATE_LIMITED:
		return backend_held_ns(candidate->backend);
	case EXCLUDED_CIRCUIT_OPEN:
		if (a->body_arrives) /* only that it closes helps: pause_ended() */
			return UINT64_MAX;
		return breaker_wait_ns(&candidate->backend->breaker, &a->table->config->breaker);
	default:
		return UINT64_MAX;
	}
}

uint64_t attempts_pause_ns(const struct attempts *a)
{
	const struct route_model *model;
	uint64_t least_ns = UINT64_MAX;

	for (size_t i = 0; (model = attempts_chain_at(a, i)); i++) {
		for (size_t k = 0; k < model->n_candidates; k++) {
			uint64_t ns = pause_ns(a, &model->candidates[k]);

			if (ns < least_ns)
				least_ns = ns;
		}
	}
	return least_ns;
}

uint64_t attempts_retry_after_seconds(const struct attempts *a)
{
	uint64_t wait_ns;

	/* A place may be free in the next moment. */
	if (a->tries > 0 || attempts_may_wait(a))
		return 1;
	wait_ns = attempts_pause_ns(a);
	if (wait_ns == UINT64_MAX)
		wait_ns = a->table->config->health.interval;
	return wait_ns <= NS_PER_SEC ? 1 : wait_ns / NS_PER_SEC + (wait_ns % NS_PER_SEC > 0);
}

static void write_tried(const struct attempts *a, struct jsonw *w)
{
	jsonw_array(w, "tried");
	for (unsigned i = 0; i < a->n_records; i++) {
		const struct attempt_record *record = &a->records[i];

		jsonw_object(w, NULL);
		jsonw_string(w, "backend", str_of(record->backend));
		jsonw_string(w, "outcome", str_of(outcome_name(record->outcome)));
		if (record->status)
			jsonw_u64(w, "status", record->status);
		else
			jsonw_raw(w, "status", STR_LITERAL("null"));
		jsonw_object_end(w);
	}
	jsonw_array_end(w);
}

/* A backend is told once for each reason, however many models of the chain it stands for. */
struct told {
	struct {
		const struct backend *backend;
		enum exclusion reason;
	} entries[EXCLUDED_TOLD_MAX];
	size_t n;
};

static bool is_told(const struct told *told, const struct backend *backend, enum exclusion reason)
{
	for (size_t i = 0; i < told->n; i++)
		if (told->entries[i].backend == backend && told->entries[i].reason == reason)
			return true;
	return false;
}

static void write_excluded_of(const struct attempts *a, const struct route_model *model,
			      struct told *told, struct jsonw *w)
{
	bool is_panic = attempts_is_panic(a, model);

	for (size_t i = 0; i < model->n_candidates && told->n < EXCLUDED_TOLD_MAX; i++) {
		const struct backend *backend = model->candidates[i].backend;
		enum exclusion reason = attempts_exclusion_of(a, &model->candidates[i], is_panic);

		if (reason == EXCLUDED_NOT || is_told(told, backend, reason))
			continue;
		told->entries[told->n].backend = backend;
		told->entries[told->n++].reason = reason;
		jsonw_object(w, NULL);
		jsonw_string(w, "backend", str_of(backend->name));
		jsonw_string(w, "reason", str_of(exclusion_name(reason)));
		if (reason == EXCLUDED_CAPABILITY)
			jsonw_string(w, "missing",
				     str_of(attempts_missing_capability(a, &model->candidates[i])));
		jsonw_object_end(w);
	}
}

int attempts_context(const struct attempts *a, bool for_good, struct buf *out)
{
	const struct route_model *model;
	struct told told = {.n = 0};
	struct jsonw w;

	jsonw_begin(&w, out);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "model", str_of(a->asked->id));
	write_tried(a, &w);
	jsonw_array(&w, "excluded");
	for (size_t i = 0; (model = attempts_chain_at(a, i)); i++)
		write_excluded_of(a, model, &told, &w);
	jsonw_array_end(&w);
	if (!for_good)
		jsonw_u64(&w, "retry_after_seconds", attempts_retry_after_seconds(a));
	jsonw_object_end(&w);
	return w.error;
}
