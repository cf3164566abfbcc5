/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt after another at the backends that route/ chooses, until one answers. */
#include <errno.h>

#include "api/api_state.h"
#include "api/forward.h"
#include "api/relay_state.h"
#include "base/clock.h"
#include "base/log.h"

static void attempt_again(struct relay *relay, enum outcome outcome);

static enum outcome outcome_of_status(unsigned status)
{
	if (status < 400)
		return OUTCOME_OK;
	if (status >= 500)
		return OUTCOME_HTTP_5XX;
	return status == 429 ? OUTCOME_HTTP_429 : OUTCOME_HTTP_4XX;
}

void attempt_cancel(struct relay *relay)
{
	if (relay->transfer)
		transfer_get_trace(relay->transfer, &relay->trace);
	relay->transfer = transfer_cancel(relay->transfer);
}

/* A small answer comes in one turn with its head: what has passed since then is our own work, and a
 * read of the clock is spared. */
static uint64_t end_of_attempt_ns(const struct relay *relay)
{
	return relay->head_ns > loop_now_ns(relay_loop(relay)) ? relay->head_ns
							       : clock_monotonic_ns();
}

void attempt_ended(struct relay *relay, enum outcome outcome)
{
	const struct candidate *candidate = relay->candidate;

	relay->outcome = outcome;
	relay->upstream_ns += end_of_attempt_ns(relay) - relay->attempt_began_ns;
	atomic_fetch_sub_explicit(&candidate->backend->pending, 1, memory_order_relaxed);
	attempts_note(&relay->attempts, outcome, relay->status);
	record_attempt(relay->request->api, candidate->bundle, outcome, &relay->trace);
	log_debug("%s: attempt at %s ended: %s", relay->request->id, candidate->backend->name,
		  outcome_name(outcome));
}

static bool is_event_stream(struct str content_type)
{
	return str_eq_nocase(str_trim(str_split(&content_type, ';')),
			     STR_LITERAL("text/event-stream"));
}

static void on_head(void *context, const struct transfer_head *head)
{
	struct relay *relay = context;
	struct backend *backend = relay->candidate->backend;
	enum outcome outcome = outcome_of_status(head->status);

	relay->status = head->status;
	relay->head_ns = clock_monotonic_ns();
	backend_observe_latency(backend, (relay->head_ns - relay->attempt_began_ns) / NS_PER_USEC);
	atomic_fetch_add_explicit(&backend->answered, 1, memory_order_relaxed);
	if ((outcome != OUTCOME_OK && attempts_is_retryable(outcome, head->status) &&
	     attempts_may_retry(&relay->attempts)) ||
	    answer_keep_headers(relay, head) < 0) {
		attempt_cancel(relay);
		attempt_failed(relay, outcome == OUTCOME_OK ? OUTCOME_PARSE : outcome);
		return;
	}
	relay->content_length = head->content_length;
	if (relay->request->wanted.stream && head->status == 200 &&
	    is_event_stream(head->content_type))
		stream_begin(relay);
	else
		relay->phase = RELAY_PLAIN;
}

static void on_data(void *context, struct str data)
{
	struct relay *relay = context;

	if (relay->phase == RELAY_STREAM)
		stream_data(relay, data);
	else
		answer_plain_data(relay, data);
}

/* The backend had closed an idle connection just when it was used again. Another backend would be
 * the next anyhow; the only one deserves a fresh connection at once, whatever the retries. */
static bool is_stale_connection(const struct relay *relay, const struct transfer_result *result)
{
	return result->outcome == OUTCOME_RESET && result->trace.reused && !relay->was_stale &&
	       relay->attempts.current->n_candidates == 1;
}

static void on_done(void *context, const struct transfer_result *result)
{
	struct relay *relay = context;

	relay->transfer = NULL;
	relay->trace = result->trace;
	switch (relay->phase) {
	case RELAY_HEAD:
		if (is_stale_connection(relay, result)) {
			attempt_again(relay, OUTCOME_RESET);
			break;
		}
		attempt_failed(relay,
			       result->outcome == OUTCOME_OK ? OUTCOME_PARSE : result->outcome);
		break;
	case RELAY_PLAIN:
	case RELAY_PASS:
		answer_plain_done(relay, result->outcome == OUTCOME_OK
						 ? outcome_of_status(relay->status)
						 : result->outcome);
		break;
	case RELAY_STREAM:
		stream_over(relay, result->outcome);
		break;
	}
}

static const struct transfer_events events = {on_head, on_data, on_done};

static void reset_answer(struct relay *relay)
{
	relay->phase = RELAY_HEAD;
	relay->status = 0;
	relay->content_length = -1;
	relay->stream_done = relay->stream_finished = false;
	relay->stream_failed = relay->stream_stuck = false;
	relay->usage = (struct usage){0};
	relay->trace = (struct transfer_trace){0};
	relay->first_content_ns = relay->last_content_ns = relay->head_ns = 0;
	buf_clear(&relay->headers);
	buf_clear(&relay->plain);
	sse_done(&relay->sse);
	sse_init(&relay->sse, FRAME_MAX_BYTES);
}

/* The client's own bytes unless something in them has to change. */
static int choose_body(struct relay *relay, struct str *ret_body)
{
	const struct model_request *wanted = &relay->request->wanted;
	const char *id = relay->attempts.current->id;
	bool same_model = str_eq(str_of(id), (struct str){wanted->model, wanted->model_bytes});
	int r;

	relay->asks_usage = wanted->stream && !wanted->asked_usage && !relay->withholds_usage &&
			    !atomic_load_explicit(&relay->candidate->backend->rejects_usage_option,
						  memory_order_relaxed);
	*ret_body = wanted->text;
	if (same_model && !relay->asks_usage)
		return 0;
	buf_clear(&relay->body);
	r = model_request_rewrite(wanted, same_model ? NULL : id, relay->asks_usage, &relay->body);
	*ret_body = buf_str(&relay->body);
	return r;
}

static void describe_target(struct relay *relay)
{
	const struct backend_config *config = relay->candidate->config;

	relay->target = (struct target){
		.transport = config->type == BACKEND_DEMO ? TARGET_DEMO : TARGET_HTTP,
		.url = config->url,
		.authorization = config->authorization,
		.ca_file = config->ca_file,
	};
}

void attempt_start(struct relay *relay)
{
	struct request *request = relay->request;
	const struct config *config = relay->request->table->config;
	struct header headers[FORWARD_HEADERS_MAX];
	struct transfer_request wanted = {
		.target = &relay->target,
		.method = "POST",
		.path = request->route->path,
		.headers = headers,
		.n_headers = forward_request_headers(request, relay->candidate->config, headers),
		.connect_timeout_ns = config->timeouts.connect,
		.first_byte_timeout_ns = config->timeouts.first_byte,
		.idle_timeout_ns = config->timeouts.stream_idle,
	};

	reset_answer(relay);
	describe_target(relay);
	if (choose_body(relay, &wanted.body) == 0)
		relay->transfer = transfer_start(request->api->in.client, &wanted, &events, relay);
	relay->n_attempts++;
	relay->attempt_began_ns = clock_monotonic_ns();
	if (!request->times.routed_ns)
		request->times.routed_ns = relay->attempt_began_ns;
	atomic_fetch_add_explicit(&relay->candidate->backend->pending, 1, memory_order_relaxed);
	if (relay->transfer)
		return;
	attempt_ended(relay, OUTCOME_CANCELLED);
	relay_give_up(relay, PROBLEM_OVERLOADED);
}

/* On the same backend, at once: counted as any other attempt. */
static void attempt_again(struct relay *relay, enum outcome outcome)
{
	attempt_ended(relay, outcome);
	record_retry(relay->request->api, relay->candidate->backend->name, outcome);
	relay->was_stale = outcome == OUTCOME_RESET;
	attempt_start(relay);
}

void attempt_without_usage(struct relay *relay)
{
	relay->withholds_usage = true;
	attempt_again(relay, OUTCOME_HTTP_4XX);
}

static void count_exclusions(struct relay *relay)
{
	struct api *api = relay->request->api;

	for (size_t i = 0; i < N_EXCLUSIONS; i++) {
		if (relay->attempts.excluded[i])
			slab_add(api->in.slab, api->series.exclusions[i],
				 relay->attempts.excluded[i]);
		relay->attempts.excluded[i] = 0;
	}
}

void attempt_next(struct relay *relay)
{
	const struct candidate *before = relay->candidate;
	uint64_t wait_ns = 0;
	enum attempts_verdict verdict =
		attempts_next(&relay->attempts, &relay->candidate, &wait_ns);

	count_exclusions(relay);
	if (verdict != ATTEMPTS_GO) {
		relay_give_up(relay, relay_problem(relay, verdict));
		return;
	}
	if (relay->attempts.tries_of_model > 1)
		record_retry(relay->request->api, before->backend->name, relay->outcome);
	relay->withholds_usage = relay->was_stale = false;
	relay->upstream_ns += wait_ns;
	if (wait_ns == 0)
		attempt_start(relay);
	else if (loop_timer_set(relay_loop(relay), &relay->backoff,
				loop_now_ns(relay_loop(relay)) + wait_ns) < 0)
		relay_give_up(relay, PROBLEM_OVERLOADED);
}

void attempt_failed(struct relay *relay, enum outcome outcome)
{
	attempt_ended(relay, outcome);
	attempt_next(relay);
}

void attempt_pause_if_full(struct relay *relay)
{
	if (relay->transfer &&
	    exchange_queued_bytes(relay->request->exchange) >= EXCHANGE_HIGH_WATER_BYTES)
		transfer_pause(relay->transfer);
}
