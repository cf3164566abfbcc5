/* SPDX-License-Identifier: Apache-2.0 */
#include "api/answer_head.h"

#include "api/attempt.h"
#include "api/media.h"
#include "api/relay_state.h"
#include "api/reply_head.h"
#include "base/clock.h"
#include "upstream/retry_after.h"

enum outcome answer_head_outcome(unsigned status)
{
	if (status < 400)
		return OUTCOME_OK;
	if (status >= 500)
		return OUTCOME_HTTP_5XX;
	return status == 429 ? OUTCOME_HTTP_429 : OUTCOME_HTTP_4XX;
}

/* It may not serve the path at all, and a backend that was not asked yet may. */
static bool may_serve_elsewhere(const struct relay *relay)
{
	return relay_is_passed(relay) && (relay->status == 404 || relay->status == 405) &&
	       relay_can_repeat(relay) && attempts_may_ask_another(&relay->attempts);
}

static bool leaves_others_to_try(const struct relay *relay, enum outcome outcome)
{
	if (outcome == OUTCOME_OK)
		return false;
	return may_serve_elsewhere(relay) ||
	       (attempts_is_retryable(outcome, relay->status) && relay_may_retry_at_once(relay));
}

/* Some streams are asked for by other members than "stream". */
static bool is_stream(const struct relay *relay, const struct transfer_head *head)
{
	return (relay->request->wanted.stream || relay_is_passed(relay)) && head->status == 200 &&
	       media_is_event_stream(head->content_type) && !reply_head_is_encoded(relay);
}

static void heed_retry_after(struct relay *relay, const struct transfer_head *head)
{
	uint64_t seconds = retry_after_seconds(head, clock_realtime_msec() / 1000);

	attempts_told_to_wait(&relay->attempts, head->status, seconds * NS_PER_SEC);
}

struct verdict answer_head_judge(struct relay *relay, const struct transfer_head *head)
{
	struct backend *backend = relay->candidate->backend;
	enum outcome outcome = answer_head_outcome(head->status);

	relay->status = head->status;
	relay->head_ns = clock_monotonic_ns();
	atomic_fetch_add_explicit(&backend->answered, 1, memory_order_relaxed);
	/* How quickly it refuses is not how quickly it answers. */
	if (outcome == OUTCOME_OK)
		backend_observe_latency(backend, (relay->head_ns - relay->asked_ns) / NS_PER_USEC);
	else
		heed_retry_after(relay, head);
	/* So it was that option which it had refused. */
	if (outcome == OUTCOME_OK && relay->withholds_usage)
		atomic_store_explicit(&backend->rejects_usage_option, true, memory_order_relaxed);
	if (attempts_is_retryable(outcome, head->status))
		attempt_failed(relay, outcome);
	if (leaves_others_to_try(relay, outcome) || reply_head_keep(relay, head) < 0)
		return verdict_failed(outcome == OUTCOME_OK ? OUTCOME_PARSE : outcome);
	if (!attempts_is_retryable(outcome, head->status))
		attempt_answered(relay);
	relay->content_length = head->content_length;
	relay->phase = is_stream(relay, head) ? RELAY_STREAM : RELAY_PLAIN;
	return verdict_goes_on();
}
