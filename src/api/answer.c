/* SPDX-License-Identifier: Apache-2.0 */
#include "api/answer.h"

#include <errno.h>

#include "api/answer_head.h"
#include "api/media.h"
#include "api/relay_state.h"
#include "api/reply_head.h"

/* The answer is too large to be judged first: its head goes out now. */
static void start_passing(struct relay *relay)
{
	struct exchange *exchange = relay->request->exchange;

	relay->phase = RELAY_PASS;
	reply_head_commit(relay);
	if (exchange_reply_stream(exchange, relay->status, relay->content_length) == 0)
		reply_head_add(relay);
	exchange_send(exchange);
}

static struct verdict pass(struct relay *relay, struct str data)
{
	if (exchange_write(relay->request->exchange, data) < 0)
		return verdict_broken(OUTCOME_CANCELLED, PROBLEM_OVERLOADED);
	return verdict_goes_on();
}

/* Speech, or a stream that is encoded, is wanted while it is made, and looking tells nothing. */
static bool is_judged(const struct relay *relay)
{
	struct str type = reply_head_find(relay, STR_LITERAL("content-type"));

	if (relay->status != 200)
		return true;
	if (relay->request->wanted.stream && media_is_event_stream(type))
		return !reply_head_is_encoded(relay);
	return !relay_is_passed(relay) || (type.n && media_is_json(type));
}

static bool is_retryable(const struct relay *relay)
{
	return attempts_is_retryable(answer_head_outcome(relay->status), relay->status);
}

struct verdict answer_data(struct relay *relay, struct str data)
{
	struct verdict verdict;
	int r;

	if (relay->phase == RELAY_PASS)
		return pass(relay, data);
	r = is_judged(relay) ? buf_append_str(&relay->plain, data) : -EMSGSIZE;
	if (r == 0)
		return verdict_goes_on();
	if (r == -ENOMEM)
		return verdict_failed(OUTCOME_CANCELLED);
	if (is_retryable(relay) && relay_may_retry(relay))
		return verdict_failed(answer_head_outcome(relay->status));
	start_passing(relay);
	verdict = pass(relay, buf_str(&relay->plain));
	buf_done(&relay->plain);
	return verdict.fate == FATE_GOES_ON ? pass(relay, data) : verdict;
}

/* Did this backend refuse the option that nexusd, not the client, put in? Perhaps it only quotes
 * what was wrong with the rest: that it takes the request without it will tell. */
static bool refuses_usage_option(const struct relay *relay)
{
	static const char option[] = "stream_options";

	return relay->asks_usage && (relay->status == 400 || relay->status == 422) &&
	       relay->plain.len > 0 &&
	       memmem(relay->plain.data, relay->plain.len, option, sizeof(option) - 1);
}

static bool can_be_read(const struct relay *relay)
{
	return relay->status == 200 && is_judged(relay) && !reply_head_is_encoded(relay);
}

struct verdict answer_over(struct relay *relay, enum outcome outcome)
{
	bool whole = outcome == OUTCOME_OK || outcome == OUTCOME_HTTP_4XX ||
		     outcome == OUTCOME_HTTP_429 || outcome == OUTCOME_HTTP_5XX;

	if (relay->phase == RELAY_PASS)
		return whole ? verdict_done(outcome, true) : verdict_cut(outcome);
	if (!whole)
		return verdict_failed(outcome);
	if (refuses_usage_option(relay))
		return verdict_repeated(outcome);
	if (can_be_read(relay) && !usage_read(buf_str(&relay->plain), &relay->usage))
		return verdict_failed(OUTCOME_PARSE);
	return verdict_done(outcome, true);
}

void answer_reply(struct relay *relay)
{
	struct exchange *exchange = relay->request->exchange;
	size_t length;
	char *body = buf_take(&relay->plain, &length);

	reply_head_commit(relay);
	if (exchange_reply_full(exchange, relay->status, body, length) == 0) {
		reply_head_add(relay);
		reply_head_add_cost(relay);
	}
	exchange_send(exchange);
}
