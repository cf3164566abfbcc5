/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All series of one (model, backend) pair, so that the request path only indexes enums. A bundle
 * hangs off the route table, belongs to the registry and is never freed. Its series are born
 * together by bundle_birth(), or one by one on first use.
 */
#pragma once

#include "base/outcome.h"
#include "metrics/registry.h"

enum token_type { TOKENS_PROMPT, TOKENS_COMPLETION, N_TOKEN_TYPES };

struct bundle;

/* Any thread; takes the registry's mutex. NULL for no memory. After as many pairs as
 * max_series allows, all further ones share the bundle of (_other, _other). */
struct bundle *bundle_find(struct registry *registry, struct str model,
			   struct str backend) MUST_CHECK;
/* Makes status 200 and the histograms visible at 0. */
void bundle_birth(struct bundle *bundle);

/* Resolved through a cache in the bundle; lock-free after the first use of each. */
const struct series *bundle_requests(struct bundle *bundle, unsigned status);
const struct series *bundle_duration(struct bundle *bundle);
const struct series *bundle_tokens(struct bundle *bundle, enum token_type type);
const struct series *bundle_upstream_requests(struct bundle *bundle, enum outcome outcome);
const struct series *bundle_usage_missing(struct bundle *bundle);
