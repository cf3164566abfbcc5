/* SPDX-License-Identifier: Apache-2.0 */
/* What attempts do with the live state of backends: their circuits, their wish for peace. */
#include "attempts_bed.h"
#include "base/clock.h"
#include "tap.h"

/* What the walk tells the breakers, and what comes of it. */
static void test_breaker(void)
{
	static struct bed bed;
	struct breaker *breaker;
	const struct candidate *candidate;
	uint64_t wait_ns;
	char text[512];

	bed_init(&bed);
	bed.fleet.config.breaker = (struct breaker_config){
		.failures = 2, .window = NS_PER_SEC, .min_requests = 1, .open = NS_PER_SEC};
	breaker = &fleet_backend(&bed.fleet, "a")->breaker;
	bed.fleet.config.routing.max_retries = 0;
	for (int i = 0; i < 2; i++) {
		ask(&bed, "m");
		(void)walk(&bed, text, sizeof(text));
		is_text(text, i ? "m/b f/d g/a" : "m/a f/d g/a", "walk %d", i);
		attempts_done(&bed.attempts);
	}
	bed_done(&bed);

	bed_init(&bed);
	breaker = &fleet_backend(&bed.fleet, "a")->breaker;
	atomic_store(&breaker->until_ns, 1);
	ask(&bed, "m");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	is_text(candidate->backend->name, "a", "one whose time has passed is probed");
	ok(breaker_refuses(breaker), "by one request");
	attempts_done(&bed.attempts);
	ok(!breaker_refuses(breaker), "which ends without a word: another may");
	ask(&bed, "m");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	is_int(attempts_answered(&bed.attempts), BREAKER_CLOSES, "an answer has begun");
	is_int(attempts_note(&bed.attempts, OUTCOME_HTTP_429, 429), BREAKER_STAYS, "it is counted");
	attempts_repeat(&bed.attempts);
	is_int(attempts_note(&bed.attempts, OUTCOME_OK, 200), BREAKER_STAYS, "a repeated one, too");
	is_int(breaker_state(breaker, clock_monotonic_ns()), BREAKER_CLOSED, "closed it stays");
	bed_done(&bed);
}

static void test_told_to_wait(void)
{
	static struct bed bed;
	const struct candidate *candidate;
	uint64_t wait_ns;
	struct backend *a;
	char text[64];

	bed_init(&bed);
	bed.fleet.config.routing.max_retries = 1;
	bed.fleet.config.breaker = (struct breaker_config){
		.failures = 1, .window = NS_PER_SEC, .min_requests = 1, .open = NS_PER_SEC};
	a = fleet_backend(&bed.fleet, "a");
	ask(&bed, "lone");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	attempts_told_to_wait(&bed.attempts, 503, 60 * NS_PER_SEC);
	ok(attempts_may_retry(&bed.attempts), "503 holds nobody off");
	(void)attempts_note(&bed.attempts, OUTCOME_HTTP_5XX, 503);
	ok(atomic_load(&a->breaker.until_ns) > clock_monotonic_ns() + 50 * NS_PER_SEC,
	   "but its circuit opens for as long as it says");
	attempts_done(&bed.attempts);
	ask(&bed, "lone");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	attempts_told_to_wait(&bed.attempts, 429, 60 * NS_PER_SEC);
	ok(!attempts_may_retry(&bed.attempts), "429 does: nothing is left to be tried");
	(void)attempts_note(&bed.attempts, OUTCOME_HTTP_429, 429);
	attempts_done(&bed.attempts);
	backend_hold(a, 1);
	ask(&bed, "lone");
	is_int(walk(&bed, text, sizeof(text)), ATTEMPTS_NO_HEALTHY, "for the next request neither");
	is_u64(attempts_retry_after_seconds(&bed.attempts), 60, "which is told when to come back");
	is_u64(bed.attempts.excluded[EXCLUDED_RATE_LIMITED], 1, "counted");
	bed_done(&bed);
}

int main(void)
{
	test_breaker();
	test_told_to_wait();
	return tap_done();
}
