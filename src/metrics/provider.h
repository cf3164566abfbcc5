/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gauges that are functions: what registry_provide() was given is asked here, once per snapshot,
 * and the answers are kept until the snapshot was visited. No lock is held while asking.
 */
#pragma once

#include "base/buf.h"
#include "base/hash.h"
#include "metrics/registry.h"

/* Text and values are offsets into `bytes`, which moves while it grows. */
struct provided {
	int64_t value;
	size_t values_at, value_bytes[METRIC_MAX_LABELS];
	size_t labels_at, labels_bytes;
};

/* Owned by the snapshot. */
struct provided_set {
	struct hash_seed seed;
	struct buf items; /* of struct provided */
	struct buf bytes;
	size_t first[N_METRICS + 1]; /* the items of metric i are first[i] .. first[i + 1] - 1 */
};

/* Of the metrics in `only` (NULL: of all). `merged`: label sets with the same text become one.
 * -ENOMEM; call provider_done() in any case. */
int provider_collect(struct registry *registry, const bool *only, bool merged,
		     struct provided_set *set) MUST_CHECK;
void provider_done(struct provided_set *set);

static inline const struct provided *provider_item(const struct provided_set *set, size_t i)
{
	return (const struct provided *)(const void *)set->items.data + i;
}

/* `n` of the set's bytes; there need not be any. */
static inline struct str provider_text(const struct provided_set *set, size_t at, size_t n)
{
	return n ? (struct str){set->bytes.data + at, n} : (struct str){NULL, 0};
}
