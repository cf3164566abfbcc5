/* SPDX-License-Identifier: Apache-2.0 */
#include "api/reply_head.h"

#include <errno.h>

#include "api/api_state.h"
#include "api/forward.h"
#include "base/clock.h"

/* Of an answer's headers so much is passed on: the reply's head must fit beside the request's. */
#define ANSWER_HEADERS_MAX_BYTES 2048

#define NANO 1000000000u

/* What does not fit is left out: a reply without it is better than none. */
static bool has_room(const struct relay *relay, const struct header *header)
{
	return relay->headers.len + header->name.n + header->value.n + 2 <=
	       ANSWER_HEADERS_MAX_BYTES;
}

static int keep(struct relay *relay, const struct header *header)
{
	int r = buf_append_str(&relay->headers, header->name);

	if (r == 0)
		r = buf_append(&relay->headers, "", 1);
	if (r == 0)
		r = buf_append_str(&relay->headers, header->value);
	if (r == 0)
		r = buf_append(&relay->headers, "", 1);
	return r;
}

/* Nothing else takes their room. */
static int keep_about_body(struct relay *relay, const struct transfer_head *head)
{
	int r = 0;

	for (size_t i = 0; i < head->n_headers && r == 0; i++) {
		const struct header *header = &head->headers[i];

		if (forward_is_about_body(header->name))
			r = has_room(relay, header) ? keep(relay, header) : -EMSGSIZE;
	}
	return r;
}

int reply_head_keep(struct relay *relay, const struct transfer_head *head)
{
	int r;

	buf_clear(&relay->headers);
	r = keep_about_body(relay, head);
	for (size_t i = 0; i < head->n_headers && r == 0; i++) {
		const struct header *header = &head->headers[i];

		if (forward_allows_answer(head, header->name) && has_room(relay, header))
			r = keep(relay, header);
	}
	return r;
}

struct str reply_head_find(const struct relay *relay, struct str name)
{
	const char *at = relay->headers.data;
	const char *end = at ? at + relay->headers.len : NULL;

	while (at < end) {
		const char *value = at + strlen(at) + 1;

		if (str_eq_nocase(str_of(at), name))
			return str_of(value);
		at = value + strlen(value) + 1;
	}
	return (struct str){NULL, 0};
}

bool reply_head_is_encoded(const struct relay *relay)
{
	struct str coding = reply_head_find(relay, STR_LITERAL("content-encoding"));

	return coding.n > 0 && !str_eq_nocase(coding, STR_LITERAL("identity"));
}

static enum error_type error_type_of_status(unsigned status)
{
	if (status < 400)
		return status < 300 ? ERROR_TYPE_NONE : ERROR_TYPE_OTHER;
	if (status >= 500 || status == 401 || status == 403)
		return ERROR_TYPE_BACKEND_ERROR;
	return status == 429 ? ERROR_TYPE_RATE_LIMITED : ERROR_TYPE_BAD_REQUEST;
}

void reply_head_commit(struct relay *relay)
{
	struct request *request = relay->request;

	/* The time until the answer is over. */
	loop_timer_clear(relay_loop(relay), &relay->deadline);
	relay->committed = true;
	request->bundle = relay->candidate->bundle;
	request->model = attempts_model(&relay->attempts)->id;
	request->backend = relay->candidate->backend->name;
	request->status = relay->status;
	request->error_type = error_type_of_status(relay->status);
	if (relay->attempts.at > 0)
		record_fallback(request->api, relay->attempts.asked->id, request->model);
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

/* What was spent on nothing but waiting is neither's work. */
static void add_timing(const struct relay *relay)
{
	struct exchange *exchange = relay->request->exchange;
	uint64_t now = clock_monotonic_ns(), own_ns = now - exchange->arrival_ns;
	uint64_t upstream_ns = relay->upstream_ns, away_ns;
	char text[128], *out = text;

	if (relay->transfer)
		upstream_ns += now - relay->asked_ns;
	away_ns = upstream_ns + relay->waited_ns;
	own_ns = own_ns > away_ns ? own_ns - away_ns : 0;

	out = write_msec(write_text(out, STR_LITERAL("gw;dur=")), own_ns);
	out = write_msec(write_text(out, STR_LITERAL(", upstream;dur=")), upstream_ns);
	if (relay->waited_ns)
		out = write_msec(write_text(out, STR_LITERAL(", wait;dur=")), relay->waited_ns);
	*out = '\0';
	(void)!exchange_add_header(exchange, "Server-Timing", text);
}

static bool is_failover(const struct relay *relay)
{
	return relay->n_attempts > 1 || relay->attempts.at > 0;
}

static const char *route_reason(const struct relay *relay)
{
	const struct attempts *attempts = &relay->attempts;

	if (is_failover(relay))
		return "failover";
	if (attempts_has_left_out(attempts, EXCLUDED_PRIVACY))
		return "privacy-requirement";
	return attempts_has_left_out(attempts, EXCLUDED_RATE_LIMITED) ||
			       attempts_has_left_out(attempts, EXCLUDED_SATURATED)
		       ? "capacity-overflow"
		       : "capability-match";
}

void reply_head_describe(const struct relay *relay)
{
	struct exchange *exchange = relay->request->exchange;
	const struct attempts *attempts = &relay->attempts;
	char text[24];

	*write_digits(text, relay->n_attempts, 1) = '\0';
	(void)!exchange_add_header(exchange, "X-Nexus-Attempts", text);
	add_timing(relay);
	if (!relay->candidate)
		return;
	(void)!exchange_add_header(exchange, "X-Nexus-Backend", relay->candidate->backend->name);
	(void)!exchange_add_header(exchange, "X-Nexus-Backend-Type",
				   backend_type_is_local(relay->candidate->config->type) ? "local"
											 : "cloud");
	(void)!exchange_add_header(exchange, "X-Nexus-Privacy-Zone",
				   relay->candidate->config->zone);
	(void)!exchange_add_header(exchange, "X-Nexus-Route-Reason", route_reason(relay));
	if (relay->committed && attempts->at > 0)
		(void)!exchange_add_header(exchange, "X-Nexus-Fallback-Model",
					   attempts_model(attempts)->id);
}

void reply_head_add(const struct relay *relay)
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
	reply_head_describe(relay);
}

void reply_head_add_cost(const struct relay *relay)
{
	const struct price_config *price = relay->candidate->price;
	char text[32], *out = text;
	uint64_t cost;

	if (!price || !relay->usage.seen)
		return;
	cost = usage_nano_usd(&relay->usage, price);
	out = write_digits(out, cost / NANO, 1);
	*out++ = '.';
	out = write_digits(out, cost % NANO, 9);
	*out = '\0';
	(void)!exchange_add_header(relay->request->exchange, "X-Nexus-Cost-Estimated", text);
}
