/* SPDX-License-Identifier: Apache-2.0 */
/* What attempts do with the live state of backends: their circuits, wish for peace, places. */
#include <pthread.h>

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

static void test_places(void)
{
	static struct bed bed;
	const struct candidate *candidate;
	uint64_t wait_ns;
	struct backend *a;
	char text[64];

	bed_init(&bed);
	bed.fleet.config.routing.max_retries = 1;
	a = fleet_backend(&bed.fleet, "a");
	atomic_store(&a->places, 2);
	atomic_store(&a->pending, 1);
	ask(&bed, "lone");
	is_int(attempts_next(&bed.attempts, &candidate, &wait_ns), ATTEMPTS_GO, "the last place");
	is_int(atomic_load(&a->pending), 2, "is taken");
	ok(attempts_may_retry(&bed.attempts), "its own does not stand in the way of a retry");
	attempts_repeat(&bed.attempts);
	(void)attempts_note(&bed.attempts, OUTCOME_RESET, 0);
	is_int(atomic_load(&a->pending), 2, "a repeated attempt keeps it");
	is_int(attempts_next(&bed.attempts, &candidate, &wait_ns), ATTEMPTS_GO, "a retry");
	is_int(atomic_load(&a->pending), 2, "takes it again");
	attempts_leave(&bed.attempts);
	attempts_leave(&bed.attempts);
	is_int(atomic_load(&a->pending), 1, "it is given back once");
	attempts_done(&bed.attempts);
	is_int(atomic_load(&a->pending), 1, "and not again");

	atomic_store(&a->pending, 2);
	ask(&bed, "lone");
	is_int(walk(&bed, text, sizeof(text)), ATTEMPTS_SATURATED, "no place is left");
	is_u64(bed.attempts.excluded[EXCLUDED_SATURATED], 1, "which is counted");
	is_u64(attempts_retry_after_seconds(&bed.attempts), 1, "in a second there may be one");
	attempts_done(&bed.attempts);
	ask(&bed, "m");
	(void)walk(&bed, text, sizeof(text));
	is_text(text, "m/b m/c f/d g/d ~f/d", "other backends, and fallbacks, are taken instead");
	attempts_done(&bed.attempts);
	atomic_store(&fleet_backend(&bed.fleet, "b")->breaker.until_ns, UINT64_MAX);
	atomic_store(&fleet_backend(&bed.fleet, "c")->breaker.until_ns, UINT64_MAX);
	ask(&bed, "m");
	(void)walk(&bed, text, sizeof(text));
	is_text(text, "f/d g/d ~f/d",
		"an open circuit is no better than a place that will be free");
	is_int(atomic_load(&a->pending), 2, "a has as many as before");
	bed_done(&bed);
}

static void test_counted_once(void)
{
	static struct bed bed;
	const struct candidate *candidate;
	unsigned n_saturated;
	uint64_t wait_ns;

	bed_init(&bed);
	for (const char *name = "abcd"; *name; name++) {
		struct backend *backend = fleet_backend(&bed.fleet, (char[]){*name, '\0'});

		atomic_store(&backend->places, 1);
		atomic_store(&backend->pending, 1);
	}
	ask(&bed, "m");
	is_int(attempts_next(&bed.attempts, &candidate, &wait_ns), ATTEMPTS_SATURATED, "all full");
	n_saturated = bed.attempts.excluded[EXCLUDED_SATURATED];
	ok(n_saturated > 3, "the fallbacks' backends are counted, too");
	ok(attempts_grant(&bed.attempts, (struct grant){.backend = fleet_backend(&bed.fleet, "d")}),
	   "a place at a fallback");
	(void)attempts_note(&bed.attempts, OUTCOME_RESET, 0);
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	is_u64(bed.attempts.excluded[EXCLUDED_SATURATED], n_saturated,
	       "none is counted again when that fails");
	attempts_done(&bed.attempts);
	bed_done(&bed);
}

/* Takes and gives back on several threads at once: never more than there are. */
struct crowd {
	struct backend *backend;
	_Atomic int inside;
	_Atomic bool was_too_many;
};

static void *rush(void *context)
{
	struct crowd *crowd = context;

	for (int i = 0; i < 20000; i++) {
		if (!backend_enter(crowd->backend))
			continue;
		if (atomic_fetch_add(&crowd->inside, 1) >= 2)
			atomic_store(&crowd->was_too_many, true);
		atomic_fetch_sub(&crowd->inside, 1);
		backend_leave(crowd->backend);
	}
	return NULL;
}

static void test_crowd(void)
{
	struct crowd crowd = {.backend = need(backend_new(STR_LITERAL("a")))};
	pthread_t threads[4];
	size_t n = 0;

	atomic_store(&crowd.backend->places, 2);
	while (n < ARRAY_SIZE(threads) && pthread_create(&threads[n], NULL, rush, &crowd) == 0)
		n++;
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	ok(n == ARRAY_SIZE(threads) && !crowd.was_too_many, "never more than two were inside");
	is_int(atomic_load(&crowd.backend->pending), 0, "and all have left");
	backend_unref(crowd.backend);
}

int main(void)
{
	test_places();
	test_counted_once();
	test_crowd();
	test_breaker();
	test_told_to_wait();
	return tap_done();
}
