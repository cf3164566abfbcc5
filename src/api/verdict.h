/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of an attempt, as its answer shows piece by piece: answer_head.c, answer.c and
 * stream.c judge, relay.c acts. Internal to relay.c and what it is made of.
 */
#pragma once

#include <stdbool.h>

#include "base/outcome.h"
#include "base/problem.h"

enum fate {
	FATE_GOES_ON,
	FATE_FAILED,   /* nothing of it went to the client: the next attempt is due */
	FATE_REPEATED, /* the same backend is asked again, but not for the usage */
	FATE_DONE,     /* the answer is there, `whole` or with an error that the backend told */
	FATE_BROKEN,   /* a part went to the client, the rest is lost: it is told the `problem` */
};

struct verdict {
	enum fate fate;
	enum outcome outcome; /* of the attempt, unless it goes on */
	enum problem problem;
	bool whole;
};

static inline struct verdict verdict_goes_on(void)
{
	return (struct verdict){.fate = FATE_GOES_ON};
}

static inline struct verdict verdict_failed(enum outcome outcome)
{
	return (struct verdict){.fate = FATE_FAILED, .outcome = outcome};
}

static inline struct verdict verdict_repeated(enum outcome outcome)
{
	return (struct verdict){.fate = FATE_REPEATED, .outcome = outcome};
}

static inline struct verdict verdict_done(enum outcome outcome, bool whole)
{
	return (struct verdict){.fate = FATE_DONE, .outcome = outcome, .whole = whole};
}

static inline struct verdict verdict_broken(enum outcome outcome, enum problem problem)
{
	return (struct verdict){.fate = FATE_BROKEN, .outcome = outcome, .problem = problem};
}

/* The backend's doing. */
static inline struct verdict verdict_cut(enum outcome outcome)
{
	return verdict_broken(outcome, outcome == OUTCOME_TIMEOUT ? PROBLEM_UPSTREAM_STALLED
								  : PROBLEM_UPSTREAM_TRUNCATED);
}
