/* SPDX-License-Identifier: Apache-2.0 */
#include "api/relay.h"

#include <stdlib.h>

#include "api/answer.h"
#include "api/answer_head.h"
#include "api/api_state.h"
#include "api/attempt.h"
#include "api/relay_backoff.h"
#include "api/relay_failure.h"
#include "api/relay_state.h"
#include "api/reply_head.h"
#include "api/session_key.h"
#include "api/tier_wish.h"
#include "base/clock.h"
#include "base/jsonx.h"

/* No tokenizer makes less than one token of so many bytes of text. */
#define BYTES_PER_TOKEN_MAX 16

bool relay_was_queued(const struct relay *relay)
{
	return relay->queue.left;
}

void relay_stop(struct relay *relay)
{
	relay_backoff_end(relay);
	loop_timer_clear(relay_loop(relay), &relay->deadline);
	relay->queue.left |= relay_queue_leave(relay);
	if (relay->transfer) {
		attempt_cancel(relay);
		attempt_ended(relay, OUTCOME_CANCELLED);
	}
	attempts_leave(&relay->attempts);
}

static const struct transfer_events events;

void relay_refuse(struct relay *relay, enum problem problem)
{
	relay_failure_reply(relay, problem, NULL);
}

/* Replies with the last answer that there was, or else with an error that tells what was tried. */
static void give_up(struct relay *relay, enum problem problem)
{
	loop_timer_clear(relay_loop(relay), &relay->deadline);
	attempts_leave(&relay->attempts);
	if (relay->answer_at == ATTEMPTS_NO_MODEL) {
		relay_failure_tell(relay, problem);
		return;
	}
	/* The walk may have gone on to fallbacks. */
	attempts_go_back(&relay->attempts, relay->answer_at);
	answer_reply(relay);
}

static void start(struct relay *relay)
{
	relay->candidate = relay->next;
	if (!attempt_start(relay, &events))
		give_up(relay, PROBLEM_OVERLOADED);
}

static void woken(void *context);

/* What came of an attempt says more than that no place for another was to be had. */
static void give_up_queue(struct relay *relay, enum problem problem)
{
	give_up(relay, relay->attempts.tries > 0 ? relay_failure_problem(relay) : problem);
}

static void wait_for_place(struct relay *relay)
{
	enum problem problem = relay_queue_enter(relay, woken);

	if (problem != PROBLEM_NONE)
		give_up_queue(relay, problem);
}

static void begin(struct relay *relay)
{
	if (attempts_tries(&relay->attempts) > 1)
		record_retry(relay->request->api, relay->candidate->backend->name, relay->outcome);
	relay->withholds_usage = relay->was_stale = false;
	start(relay);
}

/* With relay->next: another one, or the same once more. */
static void begin_next(struct relay *relay, uint64_t wait_ns)
{
	if (wait_ns == 0)
		begin(relay);
	else if (relay_backoff_begin(relay, wait_ns) < 0)
		give_up(relay, PROBLEM_OVERLOADED);
}

/* Chooses a backend and starts on it, at once or after a wait; or gives up. */
static void try_next(struct relay *relay)
{
	uint64_t wait_ns = 0;
	enum attempts_verdict verdict;

	relay->attempts.body_arrives = upload_arrives(relay);
	verdict = attempts_next(&relay->attempts, &relay->next, &wait_ns);
	record_exclusions(relay->request->api, &relay->attempts);
	if (verdict == ATTEMPTS_GO)
		begin_next(relay, wait_ns);
	else if (verdict == ATTEMPTS_SATURATED && relay->request->table->config->queue.enabled)
		wait_for_place(relay);
	else
		give_up(relay, relay_failure_verdict(relay, verdict));
}

static void woken(void *context)
{
	struct relay *relay = context;
	struct grant granted = relay_queue_take(relay);

	relay->next = granted.backend ? attempts_grant(&relay->attempts, granted) : NULL;
	if (relay->next)
		begin_next(relay, 0);
	else
		try_next(relay);
}

static void wait_no_more(struct relay *relay)
{
	relay_queue_give_up(relay);
	give_up_queue(relay, PROBLEM_QUEUE_TIMEOUT);
}

static void patience_due(struct timer *timer)
{
	wait_no_more(container_of(timer, struct relay, queue.patience));
}

/* On the same backend, at once: counted as any other attempt. */
static void try_again(struct relay *relay, enum outcome outcome)
{
	attempt_ended_for_another(relay, outcome);
	relay->was_stale = outcome == OUTCOME_RESET;
	start(relay);
}

static void take_answer(struct relay *relay, enum outcome outcome)
{
	if (!attempts_is_retryable(outcome, relay->status) ||
	    !(relay_may_retry(relay) || relay_may_wait(relay))) {
		answer_reply(relay);
		return;
	}
	relay->answer_at = relay->attempts.at;
	try_next(relay);
}

static void act(struct relay *relay, struct verdict verdict)
{
	switch (verdict.fate) {
	case FATE_GOES_ON:
		attempt_pause_if_full(relay);
		attempt_free_body(relay);
		return;
	case FATE_FAILED:
		attempt_cancel(relay);
		attempt_ended(relay, verdict.outcome);
		/* The memory or the file that one attempt lacks would be lacking for the next. */
		if (verdict.outcome != OUTCOME_CANCELLED && relay_can_repeat(relay))
			try_next(relay);
		else
			give_up(relay, relay_failure_problem(relay));
		return;
	case FATE_REPEATED:
		relay->withholds_usage = true;
		try_again(relay, verdict.outcome);
		return;
	case FATE_DONE:
		attempt_ended(relay, verdict.outcome);
		if (relay->committed)
			exchange_finish(relay->request->exchange,
					verdict.whole ? OUTBOX_WHOLE : OUTBOX_CUT_TOLD);
		else
			take_answer(relay, verdict.outcome);
		return;
	case FATE_BROKEN:
		attempt_cancel(relay);
		attempt_ended(relay, verdict.outcome);
		relay_break(relay, verdict.problem);
		return;
	}
}

static void on_head(void *context, const struct transfer_head *head)
{
	act(context, answer_head_judge(context, head));
}

static void on_data(void *context, struct str data)
{
	struct relay *relay = context;

	act(relay,
	    relay->phase == RELAY_STREAM ? stream_data(relay, data) : answer_data(relay, data));
}

/* The backend had closed an idle connection just when it was used again. Another backend would be
 * the next anyhow; the only one deserves a fresh connection at once, whatever the retries. */
static bool is_stale_connection(const struct relay *relay, const struct transfer_result *result)
{
	return result->outcome == OUTCOME_RESET && result->trace.reused && !relay->was_stale &&
	       relay_can_repeat(relay) && attempts_model(&relay->attempts)->n_candidates == 1;
}

static void on_done(void *context, const struct transfer_result *result)
{
	struct relay *relay = context;

	relay->transfer = NULL;
	relay->trace = result->trace;
	switch (relay->phase) {
	case RELAY_HEAD:
		if (is_stale_connection(relay, result))
			try_again(relay, OUTCOME_RESET);
		else
			act(relay, verdict_failed(result->outcome == OUTCOME_OK ? OUTCOME_PARSE
										: result->outcome));
		break;
	case RELAY_PLAIN:
	case RELAY_PASS:
		act(relay, answer_over(relay, result->outcome == OUTCOME_OK
						      ? answer_head_outcome(relay->status)
						      : result->outcome));
		break;
	case RELAY_STREAM:
		act(relay, stream_over(relay, result->outcome));
		break;
	}
}

static const struct transfer_events events = {on_head, on_data, on_done};

static void backoff_over(struct timer *timer)
{
	struct relay *relay = container_of(timer, struct relay, backoff);

	relay_backoff_end(relay);
	if (attempts_confirm(&relay->attempts))
		begin(relay);
	else
		try_next(relay);
}

static void deadline_passed(struct timer *timer)
{
	struct relay *relay = container_of(timer, struct relay, deadline);

	relay_backoff_end(relay);
	if (relay->transfer && upload_is_starved(relay)) { /* the client had the time */
		attempt_cancel(relay);
		attempt_ended(relay, OUTCOME_CANCELLED);
		give_up(relay, PROBLEM_REQUEST_TIMEOUT);
		return;
	}
	if (relay->transfer)
		attempt_cut_short(relay);
	if (relay->queue.since_ns) {
		wait_no_more(relay);
		return;
	}
	relay->outcome = OUTCOME_TIMEOUT;
	give_up(relay, relay_failure_problem(relay));
}

void relay_supply(struct relay *relay)
{
	if (relay->transfer)
		transfer_supply(relay->transfer);
}

void relay_drained(struct relay *relay)
{
	if (relay->transfer)
		transfer_resume(relay->transfer);
}

static void instruct(struct attempts *attempts, const struct request *request,
		     enum tier_wish tier_wish)
{
	const struct model_request *wanted = &request->wanted;

	attempts->demand = route_table_demand(request->table, attempts->asked,
					      (struct str){wanted->model, wanted->model_bytes});
	attempts->tier_wish = tier_wish;
	if (attempts->strategy->wants_session)
		attempts->session = session_key_hash(request);
	attempts->needs = wanted->needs;
	attempts->prompt_tokens_min = wanted->text_bytes / BYTES_PER_TOKEN_MAX;
}

static struct relay *relay_new(struct request *request, struct route_model *model,
			       enum tier_wish tier_wish)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return NULL;
	relay->request = request;
	relay->answer_at = ATTEMPTS_NO_MODEL;
	timer_init(&relay->backoff, backoff_over);
	timer_init(&relay->deadline, deadline_passed);
	relay_queue_init(&relay->queue, &relay->attempts, patience_due);
	buf_init(&relay->body, request->exchange->body.max + 1024);
	buf_init(&relay->headers, 16u * 1024);
	buf_init(&relay->plain, ANSWER_JUDGED_BYTES);
	stream_init(&relay->stream);
	if (attempts_init(&relay->attempts, request->table, model, &request->api->random) < 0 ||
	    loop_timer_set(relay_loop(relay), &relay->deadline,
			   request->exchange->arrival_ns +
				   relay->request->table->config->timeouts.total) < 0) {
		attempts_done(&relay->attempts);
		free(relay);
		return NULL;
	}
	relay->attempts.queue = request->api->in.queue;
	instruct(&relay->attempts, request, tier_wish);
	return relay;
}

struct relay *relay_free(struct relay *relay)
{
	if (!relay)
		return NULL;
	relay_stop(relay);
	attempts_done(&relay->attempts);
	bundle_unref(relay->mixed);
	buf_done(&relay->body);
	buf_done(&relay->headers);
	buf_done(&relay->plain);
	stream_done(&relay->stream);
	free(relay);
	return NULL;
}

void relay_start(struct request *request)
{
	struct route_model *model = route_table_find(
		request->table, (struct str){request->wanted.model, request->wanted.model_bytes});
	enum tier_wish tier_wish;

	if (!model) {
		relay_failure_unknown_model(request);
		return;
	}
	request->model = model->id;
	request->bundle = model->unrouted;
	if (!tier_wish_read(request, &tier_wish))
		return;
	request->relay = relay_new(request, model, tier_wish);
	if (request->relay)
		try_next(request->relay);
	else
		request_problem(request, PROBLEM_OVERLOADED, NULL, NULL, NULL);
}

void relay_break(struct relay *relay, enum problem problem)
{
	struct request *request = relay->request;
	bool is_told;

	request->status = problem_row(problem)->status;
	request->error_type = problem_row(problem)->error_type;
	is_told = relay->phase == RELAY_STREAM && stream_tell(relay, problem);
	exchange_finish(request->exchange, is_told ? OUTBOX_CUT_TOLD : OUTBOX_CUT);
}

void relay_settle(struct relay *relay)
{
	struct request *request = relay->request;

	relay_stop(relay);
	request->times.upstream_ns = relay->upstream_ns;
	request->times.waited_ns = relay->waited_ns;
	if (!relay->committed) {
		relay_failure_label(relay);
		return;
	}
	if (relay->usage.seen || request->status == 200)
		record_usage(request->api, request->bundle, &relay->usage, relay->candidate->price);
	if (relay->phase == RELAY_STREAM) {
		slab_gauge_add(request->api->in.slab, request->api->series.streams, -1);
		record_stream(request, &relay->usage,
			      relay->stream.last_content_ns - relay->stream.first_content_ns);
	}
}
