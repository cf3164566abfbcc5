/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/breaker.h"

#include "base/clock.h"
#include "tap.h"

/* What other threads do while this one reads the clock. */
static void (*meanwhile)(void);

uint64_t __real_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void);

uint64_t __wrap_clock_monotonic_ns(void)
{
	void (*others)(void) = meanwhile;

	meanwhile = NULL;
	if (others)
		others();
	return __real_clock_monotonic_ns();
}

static const struct breaker_config three_in_a_row = {
	.failures = 3,
	.window = 8 * NS_PER_SEC,
	.min_requests = 1,
	.open = 5 * NS_PER_SEC,
};

static const struct breaker_config half_of_ten = {
	.error_rate = NS_PER_SEC / 2,
	.window = 8 * NS_PER_SEC,
	.min_requests = 10,
	.open = 5 * NS_PER_SEC,
};

static struct breaker_pass enter(struct breaker *breaker)
{
	struct breaker_pass pass;

	ok(breaker_enter(breaker, 0, &pass), "an attempt is let through");
	return pass;
}

static enum breaker_change end_at(struct breaker *breaker, const struct breaker_config *config,
				  struct breaker_pass pass, enum breaker_evidence evidence,
				  uint64_t now_ns)
{
	const struct breaker_report report = {pass, evidence, now_ns, 0};

	return breaker_report(breaker, config, &report);
}

static enum breaker_change fail(struct breaker *breaker, const struct breaker_config *config,
				struct breaker_pass pass)
{
	return end_at(breaker, config, pass, BREAKER_FAILURE, clock_monotonic_ns());
}

static enum breaker_change succeed(struct breaker *breaker, const struct breaker_config *config,
				   struct breaker_pass pass)
{
	return end_at(breaker, config, pass, BREAKER_SUCCESS, clock_monotonic_ns());
}

/* Opens it at a time from which `open` has long passed: a probe is due. */
static void open_long_ago(struct breaker *breaker)
{
	const uint64_t then_ns = clock_monotonic_ns() - 10 * NS_PER_SEC;
	struct breaker_pass pass = enter(breaker);

	for (int i = 0; i < 2; i++)
		(void)end_at(breaker, &three_in_a_row, pass, BREAKER_FAILURE, then_ns);
	is_int(end_at(breaker, &three_in_a_row, pass, BREAKER_FAILURE, then_ns), BREAKER_OPENS,
	       "three in a row open it");
}

static enum breaker_state state(const struct breaker *breaker)
{
	return breaker_state(breaker, clock_monotonic_ns());
}

static void test_in_a_row(void)
{
	struct breaker breaker = {0};
	struct breaker_pass pass = enter(&breaker);

	for (int i = 0; i < 2; i++)
		is_int(fail(&breaker, &three_in_a_row, pass), BREAKER_STAYS, "two are too few");
	(void)end_at(&breaker, &three_in_a_row, pass, BREAKER_NOTHING, clock_monotonic_ns());
	is_int(succeed(&breaker, &three_in_a_row, pass), BREAKER_STAYS, "a success between");
	for (int i = 0; i < 2; i++)
		is_int(fail(&breaker, &three_in_a_row, pass), BREAKER_STAYS, "and two more");
	is_int(state(&breaker), BREAKER_CLOSED, "it is closed");
	ok(!breaker_refuses(&breaker), "and refuses nothing");
	is_int(fail(&breaker, &three_in_a_row, pass), BREAKER_OPENS, "the third opens it");
	is_int(state(&breaker), BREAKER_OPEN, "it is open");
	ok(breaker_refuses(&breaker), "and refuses");
	ok(!breaker_enter(&breaker, 0, &pass), "nobody gets in");
	ok(breaker_enter(&breaker, BREAKER_ANYWAY, &pass) && !pass.is_probe, "but who must");
	is_int(succeed(&breaker, &three_in_a_row, pass), BREAKER_CLOSES, "whose success closes it");
	is_int(fail(&breaker, &three_in_a_row, pass), BREAKER_STAYS, "and the count begins anew");
}

static void test_probe(void)
{
	struct breaker breaker = {0};
	struct breaker_pass early = enter(&breaker), probe, other;

	open_long_ago(&breaker);
	is_int(state(&breaker), BREAKER_HALF_OPEN, "after its time it is half open");
	ok(!breaker_refuses(&breaker), "and refuses nobody yet");
	probe = enter(&breaker);
	ok(probe.is_probe, "the first one is the probe");
	ok(breaker_refuses(&breaker), "the next is refused");
	ok(!breaker_enter(&breaker, 0, &other), "and does not get in");
	is_int(state(&breaker), BREAKER_HALF_OPEN, "still half open");
	is_int(succeed(&breaker, &three_in_a_row, early), BREAKER_STAYS,
	       "what began before it opened does not close it");
	(void)end_at(&breaker, &three_in_a_row, probe, BREAKER_NOTHING, clock_monotonic_ns());
	probe = enter(&breaker);
	ok(probe.is_probe, "a probe that was cancelled makes room for another");
	is_int(fail(&breaker, &three_in_a_row, probe), BREAKER_STAYS, "it fails");
	is_int(state(&breaker), BREAKER_OPEN, "open for as long again, without much ado");

	breaker = (struct breaker){0};
	open_long_ago(&breaker);
	probe = enter(&breaker);
	is_int(succeed(&breaker, &three_in_a_row, probe), BREAKER_CLOSES, "a probe that succeeds");
	is_int(state(&breaker), BREAKER_CLOSED, "closes it");
	for (int i = 0; i < 3; i++)
		(void)fail(&breaker, &three_in_a_row, early);
	is_int(state(&breaker), BREAKER_CLOSED,
	       "what began before it opened does not open it again");
}

static void test_comeback(void)
{
	struct breaker breaker = {0};

	breaker_make_due(&breaker);
	is_int(state(&breaker), BREAKER_CLOSED, "what is closed stays so");
	for (int i = 0; i < 3; i++)
		(void)fail(&breaker, &three_in_a_row, (struct breaker_pass){0});
	ok(breaker_refuses(&breaker), "open");
	breaker_make_due(&breaker);
	ok(!breaker_refuses(&breaker) && enter(&breaker).is_probe, "the probe goes at once");
}

/* A stream that probes may go on for minutes. */
static void test_long_probe(void)
{
	struct breaker breaker = {0};
	struct breaker_pass probe;

	open_long_ago(&breaker);
	probe = enter(&breaker);
	is_int(breaker_answered(&breaker, &three_in_a_row, &probe), BREAKER_CLOSES,
	       "the first answer to a probe closes it");
	is_int(breaker_answered(&breaker, &three_in_a_row, &probe), BREAKER_STAYS, "once");
	is_int(fail(&breaker, &three_in_a_row, probe), BREAKER_OPENS,
	       "but when that breaks off it opens at once");
	breaker = (struct breaker){0};
	open_long_ago(&breaker);
	probe = enter(&breaker);
	(void)breaker_answered(&breaker, &three_in_a_row, &probe);
	is_int(succeed(&breaker, &three_in_a_row, probe), BREAKER_STAYS, "its end confirms it");
	is_int(fail(&breaker, &three_in_a_row, probe), BREAKER_STAYS, "and all is forgotten");
}

static void test_longest_time_wins(void)
{
	struct breaker breaker = {0};
	const uint64_t now_ns = clock_monotonic_ns();
	struct breaker_report report = {
		.evidence = BREAKER_FAILURE,
		.now_ns = now_ns,
		.least_ns = 60 * NS_PER_SEC,
	};

	for (int i = 0; i < 3; i++)
		(void)breaker_report(&breaker, &three_in_a_row, &report);
	is_u64(atomic_load(&breaker.until_ns), now_ns + 60 * NS_PER_SEC,
	       "longer than breaker.open when the backend asks for it");
	report.least_ns = 0;
	report.pass = (struct breaker_pass){.openings = 1};
	(void)breaker_report(&breaker, &three_in_a_row, &report);
	is_u64(atomic_load(&breaker.until_ns), now_ns + 60 * NS_PER_SEC, "never shortened");
	report.now_ns = now_ns + 58 * NS_PER_SEC;
	report.pass.openings = 0;
	(void)breaker_report(&breaker, &three_in_a_row, &report);
	is_u64(atomic_load(&breaker.until_ns), now_ns + 60 * NS_PER_SEC,
	       "nor prolonged by what began before");
	report.pass.openings = 1;
	(void)breaker_report(&breaker, &three_in_a_row, &report);
	is_u64(atomic_load(&breaker.until_ns), now_ns + 63 * NS_PER_SEC, "but by what began since");
}

/* Both began before it opened; the second is told more than the first was. */
static void test_told_late(void)
{
	struct breaker breaker = {0};
	const uint64_t now_ns = clock_monotonic_ns();
	const struct breaker_report late = {
		.pass = enter(&breaker),
		.evidence = BREAKER_FAILURE,
		.now_ns = now_ns,
		.least_ns = 60 * NS_PER_SEC,
	};

	(void)breaker_report(&breaker, &three_in_a_row, &late);
	is_int(state(&breaker), BREAKER_CLOSED, "what is told opens nothing by itself");
	for (int i = 0; i < 2; i++)
		(void)end_at(&breaker, &three_in_a_row, late.pass, BREAKER_FAILURE, now_ns);
	is_u64(atomic_load(&breaker.until_ns), now_ns + 5 * NS_PER_SEC, "opened by others");
	is_int(breaker_report(&breaker, &three_in_a_row, &late), BREAKER_STAYS, "it is open");
	is_u64(atomic_load(&breaker.until_ns), now_ns + 60 * NS_PER_SEC, "for longer now");
}

static struct breaker shared;
static struct breaker_pass panicking;

static void close_and_open_again(void)
{
	is_int(succeed(&shared, &three_in_a_row, panicking), BREAKER_CLOSES,
	       "meanwhile one that began in a panic closes it");
	open_long_ago(&shared);
}

static void test_probe_of_an_opening_before(void)
{
	struct breaker_pass probe;

	open_long_ago(&shared);
	ok(breaker_enter(&shared, BREAKER_ANYWAY | BREAKER_NO_PROBE, &panicking) &&
		   !panicking.is_probe,
	   "one gets in that is no probe");
	meanwhile = close_and_open_again;
	ok(breaker_enter(&shared, 0, &probe) && probe.is_probe, "another one probes");
	(void)end_at(&shared, &three_in_a_row, probe, BREAKER_NOTHING, clock_monotonic_ns());
	ok(!breaker_refuses(&shared), "and makes room for the next when it ends");
}

static void test_check(void)
{
	struct breaker breaker = {0};
	struct breaker_pass pass = enter(&breaker);

	for (int i = 0; i < 3; i++)
		(void)fail(&breaker, &three_in_a_row, pass);
	breaker_await_check(&breaker);
	is_int(breaker_checked(&breaker, &three_in_a_row), BREAKER_STAYS,
	       "a check before its time does not close it");
	breaker = (struct breaker){0};
	open_long_ago(&breaker);
	is_int(breaker_checked(&breaker, &three_in_a_row), BREAKER_STAYS,
	       "nor one that nobody waits for");
	breaker_await_check(&breaker);
	pass = enter(&breaker);
	is_int(breaker_checked(&breaker, &three_in_a_row), BREAKER_STAYS, "nor while one probes");
	(void)end_at(&breaker, &three_in_a_row, pass, BREAKER_NOTHING, clock_monotonic_ns());
	is_int(breaker_checked(&breaker, &three_in_a_row), BREAKER_CLOSES, "else it does");
	is_int(breaker_checked(&breaker, &three_in_a_row), BREAKER_STAYS, "once");
	is_int(fail(&breaker, &three_in_a_row, enter(&breaker)), BREAKER_OPENS,
	       "a single failure opens it again");
}

static void test_rate(void)
{
	static const struct {
		const char *what;
		unsigned successes, failures;
		uint64_t gap_ns; /* between the two */
		enum breaker_change last;
	} cases[] = {
		{"too few to judge", 0, 9, 0, BREAKER_STAYS},
		{"enough", 0, 10, 0, BREAKER_OPENS},
		{"half of them", 5, 5, 0, BREAKER_OPENS},
		{"less than half", 6, 5, 0, BREAKER_STAYS},
		{"still within the window", 10, 9, 6 * NS_PER_SEC, BREAKER_STAYS},
		{"successes of long ago do not count", 100, 10, 9 * NS_PER_SEC, BREAKER_OPENS},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct breaker breaker = {0};
		const struct breaker_pass pass = {0};
		const uint64_t now_ns = 1000 * NS_PER_SEC;
		enum breaker_change change = BREAKER_STAYS;

		for (unsigned k = 0; k < cases[i].successes; k++)
			(void)end_at(&breaker, &half_of_ten, pass, BREAKER_SUCCESS, now_ns);
		for (unsigned k = 0; k < cases[i].failures && change == BREAKER_STAYS; k++)
			change = end_at(&breaker, &half_of_ten, pass, BREAKER_FAILURE,
					now_ns + cases[i].gap_ns);
		is_int(change, cases[i].last, "%s: %u succeed, %u fail", cases[i].what,
		       cases[i].successes, cases[i].failures);
	}
}

static void test_switched_off(void)
{
	const struct breaker_config off = {
		.window = NS_PER_SEC, .min_requests = 1, .open = NS_PER_SEC};
	struct breaker breaker = {0};
	unsigned changes = 0;

	for (int i = 0; i < 1000; i++)
		changes += fail(&breaker, &off, (struct breaker_pass){0}) != BREAKER_STAYS;
	is_u64(changes, 0, "with both limits 0 it never opens");
	is_u64(atomic_load(&breaker.slices[0]), 0, "and no window is kept");
}

static void test_names(void)
{
	is_text(breaker_state_name(BREAKER_CLOSED), "closed", "closed");
	is_text(breaker_state_name(BREAKER_OPEN), "open", "open");
	is_text(breaker_state_name(BREAKER_HALF_OPEN), "half_open", "half open");
}

int main(void)
{
	test_in_a_row();
	test_probe();
	test_comeback();
	test_long_probe();
	test_longest_time_wins();
	test_told_late();
	test_probe_of_an_opening_before();
	test_check();
	test_rate();
	test_switched_off();
	test_names();
	return tap_done();
}
