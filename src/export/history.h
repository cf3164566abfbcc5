/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last hour: the totals as they were every ten seconds, in a ring of fixed size. The main
 * thread makes it, feeds it from a timer of its loop and frees it; any thread may read.
 */
#pragma once

#include "base/attr.h"
#include "export/totals.h"
#include "loop/loop.h"

/* An hour of intervals, and the point at which the first of them begins. */
enum { HISTORY_INTERVAL_SECONDS = 10, HISTORY_MAX_POINTS = 361 };

struct history_point {
	uint64_t monotonic_ns, realtime_msec;
	uint64_t requests, errors, tokens;        /* since the start */
	uint64_t pending, streams;                /* then */
	struct percentiles duration, first_token; /* ns, since the point before */
};

struct history;

/* NULL for no memory. */
struct history *history_new(struct registry *registry) MUST_CHECK;
/* Nobody may read any more, and its loop must still be there. Accepts NULL, returns NULL. */
struct history *history_free(struct history *history);
/* Takes the first point at once and further ones for as long as the loop turns. -ENOMEM. */
int history_start(struct history *history, struct loop *loop) MUST_CHECK;
/* Takes a point. Main thread; times never go back. -ENOMEM leaves it out: the next one stands for a
 * longer interval then. */
int history_take(struct history *history, uint64_t monotonic_ns, uint64_t realtime_msec) MUST_CHECK;

/* Copies the points, oldest first, and returns how many; 0 only before the first was taken. Any
 * thread; waits for nothing but another copy. */
size_t history_read(struct history *history,
		    struct history_point points[static HISTORY_MAX_POINTS]);
/* The youngest point that is at least a minute old, else the oldest one; all 0 before the first was
 * taken. Any thread. */
struct history_point history_minute_ago(struct history *history, uint64_t now_ns);
