/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/breaker.h"

#include "base/clock.h"

/* A slice of the window is one word: which one it is, so that a new one begins at 0, how many
 * attempts ended in it, how many of them failed. Both stop at COUNT_MAX. */
#define COUNT_BITS  20
#define COUNT_MAX   ((1u << COUNT_BITS) - 1)
#define NUMBER_BITS (64 - 2 * COUNT_BITS)

/* breaker.error_rate is in billionths. */
#define WHOLE 1000000000u

struct slice {
	uint64_t number; /* since the clock began, modulo 2^NUMBER_BITS */
	uint64_t ended, failed;
};

static struct slice unpack(uint64_t word)
{
	return (struct slice){word >> 2 * COUNT_BITS, word >> COUNT_BITS & COUNT_MAX,
			      word & COUNT_MAX};
}

static uint64_t pack(struct slice slice)
{
	return slice.number << 2 * COUNT_BITS | slice.ended << COUNT_BITS | slice.failed;
}

static uint64_t slice_number(const struct breaker_config *config, uint64_t now_ns)
{
	return now_ns / (config->window / BREAKER_SLICES) % (1u << NUMBER_BITS);
}

static void count(struct breaker *breaker, uint64_t number, bool failed)
{
	_Atomic uint64_t *word = &breaker->slices[number % BREAKER_SLICES];
	uint64_t before = atomic_load_explicit(word, memory_order_relaxed);
	struct slice slice;

	do {
		slice = unpack(before);
		if (slice.number != number)
			slice = (struct slice){.number = number};
		if (slice.ended == COUNT_MAX)
			return;
		slice.ended++;
		slice.failed += failed;
	} while (!atomic_compare_exchange_weak_explicit(
		word, &before, pack(slice), memory_order_relaxed, memory_order_relaxed));
}

static bool is_rate_high(const struct breaker *breaker, const struct breaker_config *config,
			 uint64_t number)
{
	uint64_t ended = 0, failed = 0;

	for (size_t i = 0; i < BREAKER_SLICES; i++) {
		struct slice slice =
			unpack(atomic_load_explicit(&breaker->slices[i], memory_order_relaxed));

		/* Older ones have not been overwritten yet. */
		if ((number - slice.number) % (1u << NUMBER_BITS) >= BREAKER_SLICES)
			continue;
		ended += slice.ended;
		failed += slice.failed;
	}
	return ended >= config->min_requests && failed * WHOLE >= ended * config->error_rate;
}

static void forget(struct breaker *breaker)
{
	atomic_store_explicit(&breaker->failures, 0, memory_order_relaxed);
	atomic_store_explicit(&breaker->awaits_check, false, memory_order_relaxed);
	for (size_t i = 0; i < BREAKER_SLICES; i++)
		atomic_store_explicit(&breaker->slices[i], 0, memory_order_relaxed);
}

static uint64_t until_ns(const struct breaker *breaker)
{
	return atomic_load_explicit(&breaker->until_ns, memory_order_relaxed);
}

static bool is_probing(const struct breaker *breaker)
{
	return atomic_load_explicit(&breaker->probing, memory_order_relaxed);
}

enum breaker_state breaker_state(const struct breaker *breaker, uint64_t now_ns)
{
	uint64_t until = until_ns(breaker);

	if (until == 0)
		return BREAKER_CLOSED;
	return now_ns >= until || is_probing(breaker) ? BREAKER_HALF_OPEN : BREAKER_OPEN;
}

const char *breaker_state_name(enum breaker_state state)
{
	static const char *const names[] = {
#define X(id, name) [id] = name,
		BREAKER_STATES(X)
#undef X
	};

	return names[state];
}

bool breaker_refuses(const struct breaker *breaker)
{
	uint64_t until = until_ns(breaker);

	return until != 0 && (is_probing(breaker) || clock_monotonic_ns() < until);
}

uint64_t breaker_wait_ns(const struct breaker *breaker, const struct breaker_config *config)
{
	uint64_t until = until_ns(breaker), now;

	if (until == 0)
		return 0;
	if (is_probing(breaker))
		return config->open;
	now = clock_monotonic_ns();
	return until > now ? until - now : 0;
}

bool breaker_enter(struct breaker *breaker, unsigned way, struct breaker_pass *ret_pass)
{
	uint64_t until = until_ns(breaker);

	*ret_pass = (struct breaker_pass){.is_probe = false};
	if (until != 0 && !(way & BREAKER_NO_PROBE) && clock_monotonic_ns() >= until)
		ret_pass->is_probe =
			!atomic_exchange_explicit(&breaker->probing, true, memory_order_acquire);
	/* After that: a probe that took itself for one of an opening before would stay for good. */
	ret_pass->openings = atomic_load_explicit(&breaker->openings, memory_order_relaxed);
	return until == 0 || ret_pass->is_probe || (way & BREAKER_ANYWAY);
}

/* Release: who probes next knows of every opening until now. Pairs with breaker_enter(). */
static void end_probe(struct breaker *breaker)
{
	atomic_store_explicit(&breaker->probing, false, memory_order_release);
}

static enum breaker_change close_now(struct breaker *breaker)
{
	end_probe(breaker);
	if (atomic_exchange_explicit(&breaker->until_ns, 0, memory_order_relaxed) == 0)
		return BREAKER_STAYS;
	forget(breaker);
	return BREAKER_CLOSES;
}

/* `is_current`: the attempt began after the last opening, so its end says something about now. */
static enum breaker_change succeeded(struct breaker *breaker, bool is_current)
{
	if (atomic_load_explicit(&breaker->failures, memory_order_relaxed) != 0)
		atomic_store_explicit(&breaker->failures, 0, memory_order_relaxed);
	return is_current && until_ns(breaker) != 0 ? close_now(breaker) : BREAKER_STAYS;
}

static bool trips(struct breaker *breaker, const struct breaker_config *config, uint64_t now_ns)
{
	unsigned failures =
		atomic_fetch_add_explicit(&breaker->failures, 1, memory_order_relaxed) + 1;

	return (config->failures != 0 && failures >= config->failures) ||
	       (config->error_rate != 0 &&
		is_rate_high(breaker, config, slice_number(config, now_ns)));
}

/* If it is open: the longest time wins. */
static void stay_open(struct breaker *breaker, uint64_t until)
{
	uint64_t before = until_ns(breaker);

	while (before != 0 && before < until &&
	       !atomic_compare_exchange_weak_explicit(&breaker->until_ns, &before, until,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

static enum breaker_change failed(struct breaker *breaker, const struct breaker_config *config,
				  const struct breaker_report *report)
{
	uint64_t length_ns = config->open > report->least_ns ? config->open : report->least_ns;
	uint64_t until = report->now_ns + length_ns, before = 0;

	if (!trips(breaker, config, report->now_ns) && !report->pass.is_probe)
		return BREAKER_STAYS;
	if (atomic_compare_exchange_strong_explicit(&breaker->until_ns, &before, until,
						    memory_order_relaxed, memory_order_relaxed)) {
		atomic_fetch_add_explicit(&breaker->openings, 1, memory_order_relaxed);
		/* A probe of before it was closed by others has an end that tells nobody. */
		end_probe(breaker);
		return BREAKER_OPENS;
	}
	stay_open(breaker, until);
	return BREAKER_STAYS;
}

/* Did it begin after the last opening? */
static bool is_of_now(const struct breaker *breaker, struct breaker_pass pass)
{
	return atomic_load_explicit(&breaker->openings, memory_order_relaxed) == pass.openings;
}

enum breaker_change breaker_report(struct breaker *breaker, const struct breaker_config *config,
				   const struct breaker_report *report)
{
	bool is_current = is_of_now(breaker, report->pass);
	enum breaker_change change = BREAKER_STAYS;

	/* What began before the circuit opened says nothing about what came since, but what it was
	 * told of the time to come holds. */
	if (report->evidence == BREAKER_FAILURE && !is_current) {
		stay_open(breaker, report->now_ns + report->least_ns);
		return BREAKER_STAYS;
	}
	if (report->evidence != BREAKER_NOTHING && config->error_rate != 0)
		count(breaker, slice_number(config, report->now_ns),
		      report->evidence == BREAKER_FAILURE);
	if (report->evidence == BREAKER_SUCCESS)
		change = succeeded(breaker, is_current);
	else if (report->evidence == BREAKER_FAILURE)
		change = failed(breaker, config, report);
	if (report->pass.is_probe && is_current)
		end_probe(breaker);
	return change;
}

/* The first failure opens it again. */
static enum breaker_change close_on_trial(struct breaker *breaker,
					  const struct breaker_config *config)
{
	enum breaker_change change = close_now(breaker);

	if (config->failures != 0)
		atomic_store_explicit(&breaker->failures, (unsigned)config->failures - 1,
				      memory_order_relaxed);
	return change;
}

enum breaker_change breaker_answered(struct breaker *breaker, const struct breaker_config *config,
				     struct breaker_pass *pass)
{
	enum breaker_change change;

	if (!pass->is_probe || !is_of_now(breaker, *pass))
		return BREAKER_STAYS;
	change = close_on_trial(breaker, config);
	pass->is_probe = false;
	end_probe(breaker);
	return change;
}

void breaker_await_check(struct breaker *breaker)
{
	atomic_store_explicit(&breaker->awaits_check, true, memory_order_relaxed);
}

enum breaker_change breaker_checked(struct breaker *breaker, const struct breaker_config *config)
{
	if (!atomic_load_explicit(&breaker->awaits_check, memory_order_relaxed) ||
	    until_ns(breaker) == 0 || breaker_refuses(breaker))
		return BREAKER_STAYS;
	return close_on_trial(breaker, config);
}

void breaker_make_due(struct breaker *breaker)
{
	uint64_t until = until_ns(breaker);

	/* Lost to another change it is as good as never asked for. */
	if (until != 0)
		(void)atomic_compare_exchange_strong_explicit(
			&breaker->until_ns, &until, 1, memory_order_relaxed, memory_order_relaxed);
}
