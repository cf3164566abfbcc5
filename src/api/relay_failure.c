/* SPDX-License-Identifier: Apache-2.0 */
#include "api/relay_failure.h"

#include "api/api_state.h"
#include "api/reply_head.h"

/* Of the models a 404 names. */
#define SUGGESTED_MODELS 20

/* The walk may have gone on, or back, since. */
static bool is_of_asked(const struct relay *relay)
{
	return relay->candidate->demand == &relay->attempts.asked->demand;
}

void relay_failure_label(struct relay *relay)
{
	struct request *request = relay->request;
	struct bundle *mixed;

	if (!relay->candidate)
		return;
	request->backend = relay->candidate->backend->name;
	if (is_of_asked(relay)) {
		request->bundle = relay->candidate->bundle;
		return;
	}
	mixed = bundle_find(request->api->in.registry, str_of(request->model),
			    str_of(request->backend));
	/* Without memory that counts which counted it before. */
	if (!mixed)
		return;
	request->bundle = mixed;
	bundle_unref(relay->mixed);
	relay->mixed = mixed;
}

void relay_failure_reply(struct relay *relay, enum problem problem, const struct buf *context)
{
	struct request *request = relay->request;

	request->retry_after_seconds = attempts_retry_after_seconds(&relay->attempts);
	request_make_problem(request, problem, NULL, NULL, context);
	reply_head_describe(relay);
	exchange_send(request->exchange);
}

void relay_failure_tell(struct relay *relay, enum problem problem)
{
	bool for_good = problem == PROBLEM_CAPABILITY_MISMATCH;
	struct buf context;
	int r;

	relay_failure_label(relay);
	buf_init(&context, 64u * 1024);
	r = attempts_context(&relay->attempts, for_good, &context);
	/* An error without its context is better than none. */
	relay_failure_reply(relay, problem, r == 0 ? &context : NULL);
	buf_done(&context);
}

enum problem relay_failure_problem(const struct relay *relay)
{
	bool fallbacks = relay->attempts.asked->n_fallbacks > 0;

	switch (relay->outcome) {
	case OUTCOME_TIMEOUT:
		return fallbacks ? PROBLEM_FALLBACK_EXHAUSTED_TIMEOUT : PROBLEM_GATEWAY_TIMEOUT;
	case OUTCOME_CANCELLED: /* for want of memory or descriptors */
		return PROBLEM_OVERLOADED;
	case OUTCOME_PARSE:
		return fallbacks ? PROBLEM_FALLBACK_EXHAUSTED : PROBLEM_PARSE_ERROR;
	default:
		return fallbacks ? PROBLEM_FALLBACK_EXHAUSTED : PROBLEM_BAD_GATEWAY;
	}
}

enum problem relay_failure_verdict(const struct relay *relay, enum attempts_verdict verdict)
{
	switch (verdict) {
	case ATTEMPTS_MISMATCH:
		return PROBLEM_CAPABILITY_MISMATCH;
	case ATTEMPTS_NO_BACKEND:
		return PROBLEM_NO_BACKEND;
	case ATTEMPTS_SATURATED:
		if (relay->attempts.tries > 0)
			break;
		__attribute__((fallthrough));
	case ATTEMPTS_NO_HEALTHY:
		return relay->attempts.asked->n_fallbacks > 0
			       ? PROBLEM_FALLBACK_EXHAUSTED_UNAVAILABLE
			       : PROBLEM_NO_HEALTHY_BACKEND;
	case ATTEMPTS_EXHAUSTED:
	case ATTEMPTS_GO:
		break;
	}
	return relay_failure_problem(relay);
}

void relay_failure_unknown_model(struct request *request)
{
	const struct route_table *table = request->table;
	struct buf message;
	int r;

	buf_init(&message, 8192);
	r = buf_printf(&message,
		       "The model \"%s\" does not exist; known models:", request->wanted.model);
	for (size_t i = 0; i < table->n_models && i < SUGGESTED_MODELS && r == 0; i++)
		r = buf_printf(&message, "%s %s", i ? "," : "", table->models[i].id);
	if (r == 0 && table->n_models == 0)
		r = buf_printf(&message, " none yet");
	if (r == 0)
		r = buf_printf(&message, "%s.", table->n_models > SUGGESTED_MODELS ? ", ..." : "");
	if (r == 0)
		r = buf_append(&message, "", 1);
	request_problem(request, PROBLEM_MODEL_NOT_FOUND, r == 0 ? message.data : NULL, "model",
			NULL);
	buf_done(&message);
}
