/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slab: the cells that one thread writes. Any thread may read them. Cells stand in chunks that
 * never move; the registry adds a chunk to every slab before it publishes a series that lies in
 * it, so recording needs neither a lock nor a check.
 *
 * A counter or gauge has one cell. A histogram has its sequence, its sum and its buckets; the
 * sequence is odd while an observation is being written. Behind the buckets a family may have an
 * exemplar for each: a sequence of its own, 0 before the first, the trace, the value and the time.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/trace.h"
#include "metrics/series.h"

enum { SLAB_CHUNK_CELLS = 4096, SLAB_SUM = 1, SLAB_BUCKETS = 2, SLAB_EXEMPLAR_CELLS = 5 };

/* An observation and the trace it was made in. */
struct exemplar {
	struct trace_id trace;
	uint64_t value, unix_msec; /* unix_msec 0: there is none */
};

struct slab {
	struct slab *next; /* of the registry */
	size_t n_chunks;   /* room in `chunks` */
	_Atomic uint64_t *chunks[];
};

/* No chunk is there yet. NULL for no memory. */
struct slab *slab_new(size_t n_chunks) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct slab *slab_free(struct slab *slab);
/* Makes a chunk of zeros unless it is there. -ENOMEM. */
int slab_add_chunk(struct slab *slab, size_t chunk) MUST_CHECK;

static inline _Atomic uint64_t *slab_cell(const struct slab *slab, const struct series *series)
{
	return slab->chunks[series->cell / SLAB_CHUNK_CELLS] + series->cell % SLAB_CHUNK_CELLS;
}

/* Only the slab's thread may call those that write. */
static inline void slab_add(struct slab *slab, const struct series *series, uint64_t n)
{
	_Atomic uint64_t *cell = slab_cell(slab, series);
	uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);

	atomic_store_explicit(cell, old + n, memory_order_relaxed);
}

/* A gauge is the sum of what all threads added; one thread's part may well be negative. */
static inline void slab_gauge_add(struct slab *slab, const struct series *series, int64_t delta)
{
	slab_add(slab, series, (uint64_t)delta);
}

static inline void slab_observe(struct slab *slab, const struct series *series, uint64_t value)
{
	_Atomic uint64_t *cell = slab_cell(slab, series);
	_Atomic uint64_t *sum = cell + SLAB_SUM;
	_Atomic uint64_t *bucket = cell + SLAB_BUCKETS + histogram_bucket(series->histogram, value);
	uint64_t sequence = atomic_load_explicit(cell, memory_order_relaxed);
	uint64_t old_count = atomic_load_explicit(bucket, memory_order_relaxed);
	uint64_t old_sum = atomic_load_explicit(sum, memory_order_relaxed);

	/* The three releases pair with the acquires in slab_read_histogram(): who sees the new
	 * bucket or sum also sees the odd sequence, who sees the even one sees both of them. */
	atomic_store_explicit(cell, sequence + 1, memory_order_relaxed);
	atomic_store_explicit(bucket, old_count + 1, memory_order_release);
	atomic_store_explicit(sum, old_sum + value, memory_order_release);
	atomic_store_explicit(cell, sequence + 2, memory_order_release);
}

/* The same for many at once, counted elsewhere: how many in each bucket, and the sum of all. */
void slab_add_observations(struct slab *slab, const struct series *series, const uint64_t *buckets,
			   uint64_t sum);

/* Keeps it as the exemplar of its bucket; only for a series that has them. Observe it as well. */
void slab_set_exemplar(struct slab *slab, const struct series *series,
		       const struct exemplar *exemplar);
/* Replaces those of `exemplars`, one a bucket, that are older than this slab's. */
void slab_read_exemplars(const struct slab *slab, const struct series *series,
			 struct exemplar *exemplars);

static inline uint64_t slab_read(const struct slab *slab, const struct series *series)
{
	return atomic_load_explicit(slab_cell(slab, series), memory_order_relaxed);
}

/* Adds this slab's part to `buckets` and `*sum`. Waits out an observation that is being written. */
void slab_read_histogram(const struct slab *slab, const struct series *series, uint64_t *buckets,
			 uint64_t *sum);
