/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The circuit breaker of one backend: it opens when attempts fail again and again, lets a single
 * one through to probe the backend after a while, and closes with the first success. All threads
 * share it, as atomics that keep no order among themselves, but for one: a decision may be a moment
 * late, and no more than that depends on it. It knows nothing of models: that the last backend of
 * one is spared is the business of route/attempts.c.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

/* The window of breaker.error_rate moves on by one of these. A power of two. */
#define BREAKER_SLICES 8

struct breaker {
	_Atomic uint64_t until_ns; /* nothing is let through before, then one at a time; 0 closed */
	_Atomic bool probing;
	_Atomic bool awaits_check; /* see breaker_await_check() */
	_Atomic unsigned failures; /* in a row */
	_Atomic unsigned openings;
	_Atomic uint64_t slices[BREAKER_SLICES];
};

#define BREAKER_STATES(X)           \
	X(BREAKER_CLOSED, "closed") \
	X(BREAKER_OPEN, "open")     \
	X(BREAKER_HALF_OPEN, "half_open")

enum breaker_state {
#define X(id, name) id,
	BREAKER_STATES(X)
#undef X
		N_BREAKER_STATES
};

enum breaker_change { BREAKER_STAYS, BREAKER_OPENS, BREAKER_CLOSES };

/* What an attempt takes along and gives back once, when its end is known. */
struct breaker_pass {
	unsigned openings; /* so many there had been when it began */
	bool is_probe;
};

enum breaker_evidence { BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_NOTHING };

struct breaker_report {
	struct breaker_pass pass;
	enum breaker_evidence evidence;
	uint64_t now_ns;   /* clock_monotonic_ns() */
	uint64_t least_ns; /* should it open, or be open, for so long at least: the longest wins */
};

enum breaker_state breaker_state(const struct breaker *breaker, uint64_t now_ns);
/* "closed", "open", "half_open": the values of nexus_backend_circuit_state{state}. */
const char *breaker_state_name(enum breaker_state state);
/* Would an attempt be held off now? Reads the clock only when it is not closed. */
bool breaker_refuses(const struct breaker *breaker);
/* For how long yet it holds attempts off; while one probes nobody knows, and it is what it takes
 * when that fails. 0 when it does not. */
uint64_t breaker_wait_ns(const struct breaker *breaker, const struct breaker_config *config);
/* It goes through in any case; it never does as a probe. */
enum { BREAKER_ANYWAY = 1, BREAKER_NO_PROBE = 2 };

/* Lets an attempt through, and fills *ret_pass; false when it is not its time, or another one
 * probes. `way`: what of the above holds. */
bool breaker_enter(struct breaker *breaker, unsigned way, struct breaker_pass *ret_pass);
/* The end of an attempt. */
enum breaker_change breaker_report(struct breaker *breaker, const struct breaker_config *config,
				   const struct breaker_report *report);
/* An answer to a probe has begun, which may take its time: closes at once, but opens again should
 * it still fail. */
enum breaker_change breaker_answered(struct breaker *breaker, const struct breaker_config *config,
				     struct breaker_pass *pass);
/* It held off an attempt that must not probe: if only such ones come, nothing but a health check
 * can tell that the backend works. */
void breaker_await_check(struct breaker *breaker);
/* A health check went well: closes the circuit if its time is over, that was awaited, and nobody
 * probes. It opens again with the first failure. */
enum breaker_change breaker_checked(struct breaker *breaker, const struct breaker_config *config);
/* If it is open a probe is due at once: the backend was gone and is back. */
void breaker_make_due(struct breaker *breaker);
