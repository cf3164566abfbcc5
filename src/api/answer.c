/* SPDX-License-Identifier: Apache-2.0 */
/* A backend's plain answer: judged whole while it is small, handed on as it comes otherwise. */
#include <errno.h>

#include "api/api_state.h"
#include "api/forward.h"
#include "api/relay_state.h"
#include "base/jsonscan.h"

/* What does not fit is left out: a reply without it is better than none. */
static bool has_room(const struct relay *relay, const struct header *header)
{
	return relay->headers.len + header->name.n + header->value.n + 2 <=
	       ANSWER_HEADERS_MAX_BYTES;
}

int answer_keep_headers(struct relay *relay, const struct transfer_head *head)
{
	int r = 0;

	buf_clear(&relay->headers);
	for (size_t i = 0; i < head->n_headers && r == 0; i++) {
		const struct header *header = &head->headers[i];

		if (!forward_allows_answer(header->name) || !has_room(relay, header))
			continue;
		r = buf_append_str(&relay->headers, header->name);
		if (r == 0)
			r = buf_append(&relay->headers, "", 1);
		if (r == 0)
			r = buf_append_str(&relay->headers, header->value);
		if (r == 0)
			r = buf_append(&relay->headers, "", 1);
	}
	return r;
}

void answer_add_headers(const struct relay *relay)
{
	const char *at = relay->headers.data;
	const char *end = at ? at + relay->headers.len : NULL;

	while (at < end) {
		const char *value = at + strlen(at) + 1;

		/* What is no field by RFC 9110 stays behind: a backend must not split answers. */
		(void)!exchange_add_header(relay->request->exchange, at, value);
		at = value + strlen(value) + 1;
	}
	request_common_headers(relay->request);
	relay_describe(relay);
}

static const struct json_path usage_paths[N_USAGE_PATHS] = {USAGE_PATHS};

static void found(void *context, size_t path, struct json_value value)
{
	usage_found(context, path, value);
}

bool answer_read_usage(struct str text, struct usage *ret_usage)
{
	struct usage usage = {0};
	struct jsonscan scan = {
		.paths = usage_paths,
		.n_paths = N_USAGE_PATHS,
		.found = found,
		.context = &usage,
	};

	if (jsonscan_run(&scan, text) != JSON_OK)
		return false;
	*ret_usage = usage;
	return true;
}

/* The answer is too large to be judged first: its head goes out now. */
static void start_passing(struct relay *relay)
{
	struct exchange *exchange = relay->request->exchange;

	relay->phase = RELAY_PASS;
	relay_commit(relay);
	if (exchange_reply_stream(exchange, relay->status, relay->content_length) == 0)
		answer_add_headers(relay);
	exchange_send(exchange);
}

static void pass(struct relay *relay, struct str data)
{
	if (exchange_write(relay->request->exchange, data) == 0) {
		attempt_pause_if_full(relay);
		return;
	}
	relay_stop(relay);
	relay_break(relay, PROBLEM_OVERLOADED);
}

void answer_plain_data(struct relay *relay, struct str data)
{
	int r;

	if (relay->phase == RELAY_PASS) {
		pass(relay, data);
		return;
	}
	r = buf_append_str(&relay->plain, data);
	if (r == 0)
		return;
	if (r == -ENOMEM) {
		attempt_cancel(relay);
		attempt_failed(relay, OUTCOME_CANCELLED);
		return;
	}
	start_passing(relay);
	pass(relay, buf_str(&relay->plain));
	buf_done(&relay->plain);
	if (relay->transfer)
		pass(relay, data);
}

/* Did this backend refuse the option that nexusd, not the client, put in? */
static bool refuses_usage_option(const struct relay *relay)
{
	static const char option[] = "stream_options";

	return relay->asks_usage && relay->status == 400 && relay->plain.len > 0 &&
	       memmem(relay->plain.data, relay->plain.len, option, sizeof(option) - 1);
}

static bool is_encoded(const struct relay *relay)
{
	static const char name[] = "content-encoding";
	const char *at = relay->headers.data;
	const char *end = at ? at + relay->headers.len : NULL;

	for (; at < end; at += strlen(at) + 1, at += strlen(at) + 1)
		if (str_eq_nocase(str_of(at), STR_LITERAL(name)))
			return true;
	return false;
}

static void reply(struct relay *relay)
{
	struct exchange *exchange = relay->request->exchange;
	size_t length;
	char *body = buf_take(&relay->plain, &length);

	relay_commit(relay);
	if (exchange_reply_full(exchange, relay->status, body, length) == 0)
		answer_add_headers(relay);
	exchange_send(exchange);
}

void answer_plain_done(struct relay *relay, enum outcome outcome)
{
	bool whole = outcome == OUTCOME_OK || outcome == OUTCOME_HTTP_4XX ||
		     outcome == OUTCOME_HTTP_429 || outcome == OUTCOME_HTTP_5XX;

	if (relay->phase == RELAY_PASS) {
		attempt_ended(relay, outcome);
		if (whole)
			exchange_finish(relay->request->exchange, true);
		else
			relay_break(relay, outcome == OUTCOME_TIMEOUT ? PROBLEM_UPSTREAM_STALLED
								      : PROBLEM_UPSTREAM_TRUNCATED);
		return;
	}
	if (!whole) {
		attempt_failed(relay, outcome);
		return;
	}
	if (refuses_usage_option(relay)) {
		atomic_store_explicit(&relay->candidate->backend->rejects_usage_option, true,
				      memory_order_relaxed);
		attempt_without_usage(relay);
		return;
	}
	if (relay->status == 200 && !is_encoded(relay) &&
	    !answer_read_usage(buf_str(&relay->plain), &relay->usage)) {
		attempt_failed(relay, OUTCOME_PARSE);
		return;
	}
	attempt_ended(relay, outcome);
	reply(relay);
}
