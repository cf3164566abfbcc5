/* SPDX-License-Identifier: Apache-2.0 */
#include "api/attempt.h"

#include <errno.h>

#include "api/api_state.h"
#include "api/forward.h"
#include "api/pause.h"
#include "api/relay_state.h"
#include "base/clock.h"
#include "base/log.h"

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

static void tell_circuit(const struct relay *relay, enum breaker_change change)
{
	struct backend *backend = relay->candidate->backend;

	backend_log_circuit(backend, change);
	if (change == BREAKER_CLOSES)
		pause_ended(relay->request->api, backend);
	else
		pause_heed(relay->request->api, backend);
}

void attempt_answered(struct relay *relay)
{
	tell_circuit(relay, attempts_answered(&relay->attempts));
}

void attempt_failed(struct relay *relay, enum outcome outcome)
{
	tell_circuit(relay, attempts_report(&relay->attempts, outcome, relay->status));
}

static void count_end(struct relay *relay, enum outcome outcome)
{
	const struct candidate *candidate = relay->candidate;

	relay->outcome = outcome;
	relay->upstream_ns += end_of_attempt_ns(relay) - relay->asked_ns;
	tell_circuit(relay, attempts_note(&relay->attempts, outcome, relay->status));
	record_attempt(relay->request->api, candidate->bundle, outcome, &relay->trace);
	log_debug("%s: attempt at %s ended: %s", relay->request->id, candidate->backend->name,
		  outcome_name(outcome));
}

void attempt_ended(struct relay *relay, enum outcome outcome)
{
	count_end(relay, outcome);
	attempts_leave(&relay->attempts);
}

/* Or was most of the request's used up before its turn came? */
static bool had_its_time(const struct relay *relay)
{
	const struct config *config = relay->request->table->config;
	uint64_t had_ns = clock_monotonic_ns() - relay->asked_ns;

	return had_ns >= config->timeouts.first_byte || had_ns >= config->timeouts.total / 2;
}

void attempt_cut_short(struct relay *relay)
{
	attempt_cancel(relay);
	if (!had_its_time(relay))
		attempts_excuse(&relay->attempts);
	attempt_ended(relay, OUTCOME_TIMEOUT);
}

void attempt_ended_for_another(struct relay *relay, enum outcome outcome)
{
	count_end(relay, outcome);
	attempts_repeat(&relay->attempts);
	record_retry(relay->request->api, relay->candidate->backend->name, outcome);
}

static void reset_answer(struct relay *relay)
{
	relay->phase = RELAY_HEAD;
	relay->answer_at = ATTEMPTS_NO_MODEL;
	relay->status = 0;
	relay->content_length = -1;
	relay->usage = (struct usage){0};
	relay->trace = (struct transfer_trace){0};
	relay->head_ns = 0;
	buf_clear(&relay->headers);
	buf_clear(&relay->plain);
	stream_done(&relay->stream);
	stream_init(&relay->stream);
}

/* The client's own bytes unless something in them has to change. */
static int choose_body(struct relay *relay, struct transfer_request *request)
{
	const struct model_request *wanted = &relay->request->wanted;
	const char *id = attempts_model(&relay->attempts)->id;
	bool same_model = str_eq(str_of(id), (struct str){wanted->model, wanted->model_bytes});
	int r;

	relay->asks_usage = wanted->stream && relay->request->route->flags & ROUTE_USAGE &&
			    !wanted->asked_usage && !relay->withholds_usage &&
			    !atomic_load_explicit(&relay->candidate->backend->rejects_usage_option,
						  memory_order_relaxed);
	if (relay->request->exchange->body_mode == BODY_FLOWING) {
		upload_describe(relay, same_model ? NULL : id, request);
		return 0;
	}
	request->body = wanted->text;
	if (same_model && !relay->asks_usage)
		return 0;
	if (!relay->body.data && exchange_hold(relay->request->exchange, wanted->text.n) < 0)
		return -ENOBUFS;
	buf_clear(&relay->body);
	r = model_request_rewrite(wanted, same_model ? NULL : id, relay->asks_usage, &relay->body);
	request->body = buf_str(&relay->body);
	return r;
}

/* A form is nothing without the boundary that its header tells. */
static struct str form_type(const struct request *request)
{
	return request->form ? exchange_header(request->exchange, "Content-Type")
			     : (struct str){NULL, 0};
}

static void describe_target(struct relay *relay)
{
	const struct backend_config *config = relay->candidate->config;

	relay->target = (struct target){
		.transport = config->type == BACKEND_DEMO ? TARGET_DEMO : TARGET_HTTP,
		.url = config->url,
		.address = config->address,
		.authorization = config->authorization,
		.ca_file = config->ca_file,
	};
}

bool attempt_start(struct relay *relay, const struct transfer_events *events)
{
	struct request *request = relay->request;
	const struct config *config = relay->request->table->config;
	struct header headers[FORWARD_HEADERS_MAX];
	struct transfer_request wanted = {
		.target = &relay->target,
		.method = "POST",
		.path = request->route->path,
		.content_type = form_type(request),
		.headers = headers,
		.n_headers = forward_request_headers(request, relay->candidate->config, headers),
		.connect_timeout_ns = config->timeouts.connect,
		.first_byte_timeout_ns = config->timeouts.first_byte,
		.idle_timeout_ns = config->timeouts.stream_idle,
	};

	reset_answer(relay);
	describe_target(relay);
	if (choose_body(relay, &wanted) == 0)
		relay->transfer = transfer_start(request->api->in.client, &wanted, events, relay);
	relay->n_attempts++;
	relay->asked_ns = clock_monotonic_ns();
	if (!request->times.routed_ns)
		request->times.routed_ns = relay->asked_ns;
	if (!relay->transfer)
		attempt_ended(relay, OUTCOME_CANCELLED);
	return relay->transfer;
}

void attempt_pause_if_full(struct relay *relay)
{
	if (relay->transfer &&
	    exchange_outbox_bytes(relay->request->exchange) >= EXCHANGE_HIGH_WATER_BYTES)
		transfer_pause(relay->transfer);
}

void attempt_free_body(struct relay *relay)
{
	struct exchange *exchange = relay->request->exchange;
	struct transfer_trace trace;

	if (!relay->committed || !exchange->request_complete || exchange->held_bytes == 0)
		return;
	transfer_get_trace(relay->transfer, &trace);
	if (!trace.body_sent)
		return;
	buf_done(&relay->body);
	exchange_free_body(exchange);
}
