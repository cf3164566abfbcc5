/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All series of one (model, backend) pair, and those of its backend that a request feeds, so that
 * the request path only indexes enums. A bundle hangs off the route tables, by reference; its
 * series are the registry's, which outlives it. They are born together by bundle_birth(), or one by
 * one on first use.
 */
#pragma once

#include <stdatomic.h>

#include "base/outcome.h"
#include "metrics/registry.h"

enum token_type { TOKENS_PROMPT, TOKENS_COMPLETION, N_TOKEN_TYPES };

/* X(id, family, the value of its label that is neither model nor backend, born with the pair) */
#define BUNDLE_SLOTS(X)                                          \
	X(DURATION, REQUEST_DURATION, NULL, true)                \
	X(TOKENS_PROMPT, TOKENS, "prompt", true)                 \
	X(TOKENS_COMPLETION, TOKENS, "completion", true)         \
	X(FIRST_TOKEN, TIME_TO_FIRST_TOKEN, NULL, true)          \
	X(PER_TOKEN, TIME_PER_OUTPUT_TOKEN, NULL, true)          \
	X(INTER_CHUNK, INTER_CHUNK, NULL, true)                  \
	X(PROMPT, PROMPT_TOKENS, NULL, true)                     \
	X(COMPLETION, COMPLETION_TOKENS, NULL, true)             \
	X(CACHED_PROMPT, CACHED_PROMPT_TOKENS, NULL, false)      \
	X(REASONING, REASONING_TOKENS, NULL, false)              \
	X(USAGE_MISSING, USAGE_MISSING, NULL, false)             \
	X(COST, COST, NULL, false)                               \
	X(PHASE_DNS, UPSTREAM_PHASE, "dns", false)               \
	X(PHASE_CONNECT, UPSTREAM_PHASE, "connect", false)       \
	X(PHASE_TLS, UPSTREAM_PHASE, "tls", false)               \
	X(PHASE_FIRST_BYTE, UPSTREAM_PHASE, "first_byte", false) \
	X(PHASE_TRANSFER, UPSTREAM_PHASE, "transfer", false)     \
	X(CONNECTION_NEW, UPSTREAM_CONNECTIONS, "false", false)  \
	X(CONNECTION_REUSED, UPSTREAM_CONNECTIONS, "true", false)

enum bundle_slot {
#define X(id, metric, value, born) BUNDLE_##id,
	BUNDLE_SLOTS(X)
#undef X
		N_BUNDLE_SLOTS
};

/* The statuses that end nearly all requests; the series of others are looked up each time. */
#define BUNDLE_STATUSES 200, 400, 401, 403, 404, 408, 413, 422, 429, 499, 500, 502, 503, 504, 529

enum {
	N_BUNDLE_STATUSES = sizeof((const unsigned short[]){BUNDLE_STATUSES}) / 2,
	N_BUNDLE_OUTCOMES = 0
#define X(id, name) +1
	OUTCOMES(X)
#undef X
};

/* NULL until first used. */
typedef _Atomic(const struct series *) series_slot;

/* For the functions below only. */
struct bundle {
	series_slot slots[N_BUNDLE_SLOTS];
	series_slot upstream_requests[N_BUNDLE_OUTCOMES];
	series_slot requests[N_BUNDLE_STATUSES];
	struct registry *registry;
	size_t references; /* with the registry's mutex */
	struct str model, backend, key;
	char names[]; /* the key */
};

/* A reference. Any thread; takes the registry's mutex. NULL for no memory. While there are as many
 * pairs as max_series allows, all further ones share the bundle of (_other, _other), and count as
 * overflow of nexus_requests_total. */
struct bundle *bundle_find(struct registry *registry, struct str model,
			   struct str backend) MUST_CHECK;
/* Any thread; takes the registry's mutex. Accepts NULL, returns NULL. */
struct bundle *bundle_unref(struct bundle *bundle);
/* Makes status 200 and the slots that are born with the pair visible at 0. */
void bundle_birth(struct bundle *bundle);

/* Resolved through a cache in the bundle; lock-free after the first use of each. */
const struct series *bundle_requests(struct bundle *bundle, unsigned status);
const struct series *bundle_upstream_requests(struct bundle *bundle, enum outcome outcome);
/* For bundle_series() alone: what its cache lacks. */
const struct series *bundle_resolve(struct bundle *bundle, enum bundle_slot slot);

static inline const struct series *bundle_series(struct bundle *bundle, enum bundle_slot slot)
{
	/* Pairs with the release in bundle.c: the series is found whole. */
	const struct series *series =
		atomic_load_explicit(&bundle->slots[slot], memory_order_acquire);

	return series ? series : bundle_resolve(bundle, slot);
}
