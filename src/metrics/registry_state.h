/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is inside a registry; only the files that make it up (registry, snapshot, provider, bundle)
 * include this. "Mutex" means: read and written with it held. The rest is constant or atomic.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/map.h"
#include "metrics/registry.h"

struct family {
	const struct metric_row *row;
	const struct histogram *histogram; /* NULL for the other kinds */
	bool has_exemplars;
	struct series *other;           /* past the budget; NULL if the family needs none */
	const struct series *overflow;  /* counts the calls that got `other` */
	_Atomic(struct series *) first; /* in the order of birth */
	struct series *last;            /* mutex */
	size_t n_series;                /* mutex */
	bool overflow_is_logged;        /* mutex */
};

struct provider {
	void (*collect)(void *context, provider_emit_fn *emit, void *emitter);
	void *context;
};

struct registry {
	struct registry_options options;
	struct hash_seed seed;
	struct histogram histograms[N_SOURCES];
	struct provider providers[N_METRICS]; /* set before the first snapshot */
	struct family families[N_METRICS];

	pthread_mutex_t mutex;
	_Atomic(struct series_table *) by_values;
	_Atomic(struct series_table *) by_labels; /* mutex; one of each text */
	_Atomic(struct slab *) slabs;
	struct slab *slab;      /* mutex: the registry's own */
	struct slab *inherited; /* for what an earlier process counted; NULL: nothing */
	struct buf text;        /* mutex: scratch */
	_Atomic size_t n_series;
	_Atomic uint64_t render_ns; /* how long the last rendering took */
	size_t max_chunks;
	size_t n_chunks;     /* mutex: those that every slab has */
	uint32_t next_cell;  /* mutex */
	struct map *bundles; /* mutex */
	struct bundle *other_bundle;
};

/* registry.c: so many label sets of the family have no series of their own. Takes the mutex. */
void registry_overflow(struct registry *registry, enum metric metric, uint64_t n);
/* bundle.c: the bundle that all pairs share for which there is no memory or no room. */
int bundle_init_registry(struct registry *registry) MUST_CHECK;
void bundle_done_registry(struct registry *registry);
