/* SPDX-License-Identifier: Apache-2.0 */
#include "api/relay.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api_state.h"
#include "api/relay_state.h"
#include "base/clock.h"
#include "base/jsonx.h"

/* No tokenizer makes less than one token of so many bytes of text. */
#define BYTES_PER_TOKEN_MAX 16
/* Of the models a 404 names. */
#define SUGGESTED_MODELS 20

static enum error_type error_type_of_status(unsigned status)
{
	if (status < 400)
		return status < 300 ? ERROR_TYPE_NONE : ERROR_TYPE_OTHER;
	if (status >= 500 || status == 401 || status == 403)
		return ERROR_TYPE_BACKEND_ERROR;
	return status == 429 ? ERROR_TYPE_RATE_LIMITED : ERROR_TYPE_BAD_REQUEST;
}

void relay_stop(struct relay *relay)
{
	loop_timer_clear(relay_loop(relay), &relay->backoff);
	loop_timer_clear(relay_loop(relay), &relay->deadline);
	if (!relay->transfer)
		return;
	attempt_cancel(relay);
	attempt_ended(relay, OUTCOME_CANCELLED);
}

void relay_commit(struct relay *relay)
{
	struct request *request = relay->request;

	loop_timer_clear(relay_loop(relay), &relay->deadline);
	relay->committed = true;
	request->bundle = relay->candidate->bundle;
	request->model = relay->attempts.current->id;
	request->backend = relay->candidate->backend->name;
	request->status = relay->status;
	request->error_type = error_type_of_status(relay->status);
	if (relay->attempts.current != relay->attempts.asked)
		record_fallback(request->api, relay->attempts.asked->id, request->model);
}

/* Nobody's answer is sent: the model asked for, and the backend that was tried last. */
static void label_failure(struct relay *relay)
{
	struct request *request = relay->request;
	struct bundle *bundle = NULL;

	if (!relay->candidate)
		return;
	request->backend = relay->candidate->backend->name;
	bundle = relay->attempts.current == relay->attempts.asked
			 ? relay->candidate->bundle
			 : bundle_find(request->api->in.registry, str_of(request->model),
				       str_of(request->backend));
	if (bundle)
		request->bundle = bundle;
}

static enum problem problem_of_outcome(const struct relay *relay)
{
	bool fallbacks = relay->attempts.asked->n_fallbacks > 0;

	switch (relay->outcome) {
	case OUTCOME_TIMEOUT:
		return fallbacks ? PROBLEM_FALLBACK_EXHAUSTED_TIMEOUT : PROBLEM_GATEWAY_TIMEOUT;
	case OUTCOME_PARSE:
		return fallbacks ? PROBLEM_FALLBACK_EXHAUSTED : PROBLEM_PARSE_ERROR;
	default:
		return fallbacks ? PROBLEM_FALLBACK_EXHAUSTED : PROBLEM_BAD_GATEWAY;
	}
}

enum problem relay_problem(const struct relay *relay, enum attempts_verdict verdict)
{
	switch (verdict) {
	case ATTEMPTS_MISMATCH:
		return PROBLEM_CAPABILITY_MISMATCH;
	case ATTEMPTS_NO_BACKEND:
		return PROBLEM_NO_BACKEND;
	case ATTEMPTS_NO_HEALTHY:
		return relay->attempts.asked->n_fallbacks > 0
			       ? PROBLEM_FALLBACK_EXHAUSTED_UNAVAILABLE
			       : PROBLEM_NO_HEALTHY_BACKEND;
	case ATTEMPTS_EXHAUSTED:
	case ATTEMPTS_GO:
		break;
	}
	return problem_of_outcome(relay);
}

void relay_give_up(struct relay *relay, enum problem problem)
{
	struct buf context;

	loop_timer_clear(relay_loop(relay), &relay->deadline);
	label_failure(relay);
	buf_init(&context, 64u * 1024);
	/* An error without its context is better than none. */
	request_problem(relay->request, problem, NULL, NULL,
			attempts_context(&relay->attempts, &context) == 0 ? &context : NULL);
	buf_done(&context);
}

static void backoff_over(struct timer *timer)
{
	attempt_start(container_of(timer, struct relay, backoff));
}

static void deadline_passed(struct timer *timer)
{
	struct relay *relay = container_of(timer, struct relay, deadline);

	loop_timer_clear(relay_loop(relay), &relay->backoff);
	if (relay->transfer) {
		attempt_cancel(relay);
		attempt_ended(relay, OUTCOME_TIMEOUT);
	}
	relay->outcome = OUTCOME_TIMEOUT;
	relay_give_up(relay, problem_of_outcome(relay));
}

void relay_drained(struct relay *relay)
{
	if (relay->transfer)
		transfer_resume(relay->transfer);
}

static struct relay *relay_new(struct request *request, struct route_model *model)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return NULL;
	relay->request = request;
	timer_init(&relay->backoff, backoff_over);
	timer_init(&relay->deadline, deadline_passed);
	buf_init(&relay->body, request->exchange->body.max + 1024);
	buf_init(&relay->headers, 16u * 1024);
	buf_init(&relay->plain, PLAIN_MAX_BYTES);
	sse_init(&relay->sse, FRAME_MAX_BYTES);
	if (attempts_init(&relay->attempts, request->table, model, &request->api->random) < 0 ||
	    loop_timer_set(relay_loop(relay), &relay->deadline,
			   request->exchange->arrival_ns +
				   relay->request->table->config->timeouts.total) < 0) {
		free(relay);
		return NULL;
	}
	relay->attempts.needs = request->wanted.needs;
	relay->attempts.prompt_tokens_min = request->wanted.text_bytes / BYTES_PER_TOKEN_MAX;
	return relay;
}

struct relay *relay_free(struct relay *relay)
{
	if (!relay)
		return NULL;
	relay_stop(relay);
	attempts_done(&relay->attempts);
	buf_done(&relay->body);
	buf_done(&relay->headers);
	buf_done(&relay->plain);
	sse_done(&relay->sse);
	free(relay);
	return NULL;
}

static void refuse_unknown_model(struct request *request)
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

void relay_start(struct request *request)
{
	struct route_model *model = route_table_find(
		request->table, (struct str){request->wanted.model, request->wanted.model_bytes});

	if (!model) {
		refuse_unknown_model(request);
		return;
	}
	request->model = model->id;
	request->bundle = model->unrouted;
	request->relay = relay_new(request, model);
	if (request->relay)
		attempt_next(request->relay);
	else
		request_problem(request, PROBLEM_OVERLOADED, NULL, NULL, NULL);
}

void relay_break(struct relay *relay, enum problem problem)
{
	struct request *request = relay->request;
	struct buf event;

	request->status = problem_row(problem)->status;
	request->error_type = problem_row(problem)->error_type;
	buf_init(&event, 4096);
	if (relay->phase == RELAY_STREAM && buf_append_str(&event, STR_LITERAL("data: ")) == 0 &&
	    problem_write(&event, problem, NULL, NULL, NULL) == 0 &&
	    buf_append_str(&event, STR_LITERAL("\n\n")) == 0)
		/* When it does not fit any more, the unclean close alone must say it. */
		(void)!exchange_write(request->exchange, buf_str(&event));
	buf_done(&event);
	exchange_finish(request->exchange, false);
}

void relay_settle(struct relay *relay)
{
	struct request *request = relay->request;

	relay_stop(relay);
	if (!relay->committed) {
		label_failure(relay);
		return;
	}
	if (relay->usage.seen || request->status == 200)
		record_usage(request->api, request->bundle, &relay->usage, relay->candidate->price);
	if (relay->phase == RELAY_STREAM) {
		slab_gauge_add(request->api->in.slab, request->api->series.streams, -1);
		record_stream(request, &relay->usage,
			      relay->last_content_ns - relay->first_content_ns);
	}
}

uint64_t relay_upstream_ns(const struct relay *relay)
{
	return relay->upstream_ns;
}

uint64_t relay_retry_after_seconds(const struct relay *relay)
{
	return attempts_retry_after_seconds(&relay->attempts);
}

/* Appends digits: what printf() takes for them is a fiftieth of a request. */
static char *write_digits(char *out, uint64_t value, int least_digits)
{
	char digits[20];
	int n = 0;

	do
		digits[n++] = (char)('0' + value % 10);
	while ((value /= 10) > 0 || n < least_digits);
	while (n > 0)
		*out++ = digits[--n];
	return out;
}

static char *write_text(char *out, struct str text)
{
	memcpy(out, text.p, text.n);
	return out + text.n;
}

/* Milliseconds with three decimals. */
static char *write_msec(char *out, uint64_t ns)
{
	out = write_digits(out, ns / NS_PER_MSEC, 1);
	*out++ = '.';
	return write_digits(out, ns / NS_PER_USEC % 1000, 3);
}

static void add_timing(struct exchange *exchange, uint64_t own_ns, uint64_t upstream_ns)
{
	char text[96], *out = text;

	out = write_msec(write_text(out, STR_LITERAL("gw;dur=")), own_ns);
	out = write_msec(write_text(out, STR_LITERAL(", upstream;dur=")), upstream_ns);
	*out = '\0';
	(void)!exchange_add_header(exchange, "Server-Timing", text);
}

static bool is_failover(const struct relay *relay)
{
	return relay->n_attempts > 1 || relay->attempts.current != relay->attempts.asked;
}

void relay_describe(const struct relay *relay)
{
	struct exchange *exchange = relay->request->exchange;
	const struct attempts *attempts = &relay->attempts;
	uint64_t total_ns = clock_monotonic_ns() - exchange->arrival_ns;
	uint64_t upstream_ns = relay->upstream_ns;
	char text[24];

	if (relay->transfer)
		upstream_ns += clock_monotonic_ns() - relay->attempt_began_ns;
	*write_digits(text, relay->n_attempts, 1) = '\0';
	(void)!exchange_add_header(exchange, "X-Nexus-Attempts", text);
	add_timing(exchange, total_ns > upstream_ns ? total_ns - upstream_ns : 0, upstream_ns);
	if (!relay->candidate)
		return;
	(void)!exchange_add_header(exchange, "X-Nexus-Backend", relay->candidate->backend->name);
	(void)!exchange_add_header(exchange, "X-Nexus-Backend-Type",
				   backend_type_is_local(relay->candidate->config->type) ? "local"
											 : "cloud");
	(void)!exchange_add_header(exchange, "X-Nexus-Route-Reason",
				   is_failover(relay) ? "failover" : "capability-match");
	if (relay->committed && attempts->current != attempts->asked)
		(void)!exchange_add_header(exchange, "X-Nexus-Fallback-Model",
					   attempts->current->id);
}
