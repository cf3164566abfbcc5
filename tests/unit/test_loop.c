/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "tap.h"

static struct loop *loop;

struct ticker {
	struct timer timer;
	int id;
	bool sets_itself_again;
};

static int fired[16];
static size_t n_fired;

static void note_fired(struct timer *timer)
{
	struct ticker *ticker = container_of(timer, struct ticker, timer);

	fired[n_fired++] = ticker->id;
	if (ticker->sets_itself_again)
		ok(loop_timer_set(loop, timer, loop_now_ns(loop)) == 0,
		   "a timer can set itself again from its own callback");
	if (n_fired == 5)
		loop_stop(loop);
}

static void timers_fire_in_order(void)
{
	struct ticker tickers[5];
	static const uint64_t due[5] = {400, 100, 500, 200, 300};

	n_fired = 0;
	for (int i = 0; i < 5; i++) {
		tickers[i] = (struct ticker){.id = i};
		timer_init(&tickers[i].timer, note_fired);
		ok(loop_timer_set(loop, &tickers[i].timer, due[i]) == 0, "timer %d is set", i);
	}
	ok(loop_timer_set(loop, &tickers[4].timer, 50) == 0, "a set timer can be moved");
	loop_run(loop);
	ok(fired[0] == 4 && fired[1] == 1 && fired[2] == 3 && fired[3] == 0 && fired[4] == 2,
	   "timers fire by due time");
	ok(!timer_is_set(&tickers[0].timer), "a fired timer is not set");
}

static void many_timers_stay_sorted(void)
{
	enum { N = 500 };
	static struct ticker tickers[N];
	uint64_t state = 12345;
	size_t cleared = 0;

	for (int i = 0; i < N; i++) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		timer_init(&tickers[i].timer, note_fired);
		if (loop_timer_set(loop, &tickers[i].timer, UINT64_MAX / 2 + (state >> 40)) < 0)
			abort();
	}
	for (int i = 0; i < N; i += 3, cleared++)
		loop_timer_clear(loop, &tickers[i].timer);
	for (int i = 0; i < N; i++)
		ok((i % 3 == 0) != timer_is_set(&tickers[i].timer), "timer %d after clearing", i);
	for (int i = 0; i < N; i++)
		loop_timer_clear(loop, &tickers[i].timer);
	ok(cleared == (N + 2) / 3, "a third was cleared");
}

static void a_timer_set_for_now_waits_for_the_next_turn(void)
{
	struct ticker ticker = {.id = 1, .sets_itself_again = true};

	n_fired = 0;
	timer_init(&ticker.timer, note_fired);
	ok(loop_timer_set(loop, &ticker.timer, 0) == 0, "a timer in the past is set");
	loop_run(loop);
	is_u64(n_fired, 5, "it fired once in each of five turns");
	loop_timer_clear(loop, &ticker.timer);
}

struct pipe_watch {
	struct watch watch;
	struct pipe_watch *other;
	int calls;
};

static void unwatch_the_other(struct watch *watch, uint32_t events)
{
	struct pipe_watch *this = container_of(watch, struct pipe_watch, watch);

	ok(events & EPOLLIN, "it is readable");
	this->calls++;
	loop_unwatch(loop, &this->other->watch);
	loop_stop(loop);
}

/* Strikes it once. */
static void strike_the_other(struct watch *watch, uint32_t events)
{
	struct pipe_watch *this = container_of(watch, struct pipe_watch, watch);

	ok(events & EPOLLIN, "it is readable");
	if (this->calls++ == 0 && this->other->calls == 0)
		loop_strike(loop, &this->other->watch);
	loop_stop(loop);
}

/* Two pipes are readable in one batch; `calls` of their watches in this turn, then in the next. */
static void run_two(void (*ready)(struct watch *watch, uint32_t events), int calls, int calls_next)
{
	struct pipe_watch a = {0}, b = {0};
	int pipe_a[2], pipe_b[2];

	if (!ok(pipe(pipe_a) == 0 && pipe(pipe_b) == 0, "two pipes"))
		return;
	a.other = &b;
	b.other = &a;
	watch_init(&a.watch, ready);
	watch_init(&b.watch, ready);
	ok(loop_watch(loop, &a.watch, pipe_a[0], EPOLLIN) == 0, "the first is watched");
	ok(loop_watch(loop, &b.watch, pipe_b[0], EPOLLIN) == 0, "the second is watched");
	ok(write(pipe_a[1], "x", 1) == 1 && write(pipe_b[1], "x", 1) == 1, "both are readable");
	loop_run(loop);
	is_int(a.calls + b.calls, calls, "only one of two ready watches was called");
	loop_run(loop);
	is_int(a.calls + b.calls, calls + calls_next, "those left are called in the next turn");
	loop_unwatch(loop, &a.watch);
	loop_unwatch(loop, &b.watch);
	for (int i = 0; i < 2; i++) {
		close(pipe_a[i]);
		close(pipe_b[i]);
	}
}

static void events_are_struck_from_the_batch(void)
{
	run_two(unwatch_the_other, 1, 1);
	run_two(strike_the_other, 1, 2);
}

static int first_calls, second_calls;

static uint64_t count_first(struct hook *hook UNUSED)
{
	first_calls++;
	return UINT64_MAX;
}

static uint64_t feed_first(struct hook *hook UNUSED)
{
	if (++second_calls == 1)
		loop_again(loop);
	else
		loop_stop(loop);
	return UINT64_MAX;
}

static void hooks_feed_each_other(void)
{
	struct hook first = {.turn_end = count_first}, second = {.turn_end = feed_first};

	loop_hook_add(loop, &first);
	loop_hook_add(loop, &second);
	loop_run(loop);
	is_int(first_calls, 2, "a hook runs again when a later one made work for it");
	is_int(second_calls, 2, "and so does the later one");
	loop_hook_remove(&first);
	loop_hook_remove(&second);
}

int main(void)
{
	loop = loop_new();
	if (!ok(loop != NULL, "a loop"))
		return tap_done();
	timers_fire_in_order();
	many_timers_stay_sorted();
	a_timer_set_for_now_waits_for_the_next_turn();
	events_are_struck_from_the_batch();
	hooks_feed_each_other();
	ok(loop_heartbeat(loop) > 5, "turns are counted");
	loop_free(loop);
	return tap_done();
}
