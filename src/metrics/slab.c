/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/slab.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { CHUNK_BYTES = SLAB_CHUNK_CELLS * sizeof(uint64_t), READS_BEFORE_YIELD = 32 };

struct slab *slab_new(size_t n_chunks)
{
	struct slab *slab = calloc(1, sizeof(*slab) + n_chunks * sizeof(slab->chunks[0]));

	if (slab)
		slab->n_chunks = n_chunks;
	return slab;
}

struct slab *slab_free(struct slab *slab)
{
	if (!slab)
		return NULL;
	for (size_t i = 0; i < slab->n_chunks && slab->chunks[i]; i++)
		munmap(slab->chunks[i], CHUNK_BYTES);
	free(slab);
	return NULL;
}

int slab_add_chunk(struct slab *slab, size_t chunk)
{
	void *bytes;

	assert(chunk < slab->n_chunks);
	if (slab->chunks[chunk])
		return 0;
	/* Whole pages: no two threads write to one cache line, and untouched ones cost nothing. */
	bytes = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED)
		return -ENOMEM;
	slab->chunks[chunk] = bytes;
	return 0;
}

void slab_add_observations(struct slab *slab, const struct series *series, const uint64_t *buckets,
			   uint64_t sum)
{
	_Atomic uint64_t *cell = slab_cell(slab, series);
	uint64_t sequence = atomic_load_explicit(cell, memory_order_relaxed);

	/* As in slab_observe(), of which this is many. */
	atomic_store_explicit(cell, sequence + 1, memory_order_relaxed);
	for (size_t i = 0; i <= series->histogram->n_bounds; i++)
		atomic_fetch_add_explicit(cell + SLAB_BUCKETS + i, buckets[i],
					  memory_order_release);
	atomic_fetch_add_explicit(cell + SLAB_SUM, sum, memory_order_release);
	atomic_store_explicit(cell, sequence + 2, memory_order_release);
}

static bool try_read(const _Atomic uint64_t *cell, uint64_t *buckets, size_t n_buckets,
		     uint64_t *ret_sum)
{
	/* All acquires pair with the releases in slab_observe(). */
	uint64_t sequence = atomic_load_explicit(cell, memory_order_acquire);

	if (sequence & 1)
		return false;
	for (size_t i = 0; i < n_buckets; i++)
		buckets[i] = atomic_load_explicit(cell + SLAB_BUCKETS + i, memory_order_acquire);
	*ret_sum = atomic_load_explicit(cell + SLAB_SUM, memory_order_acquire);
	return atomic_load_explicit(cell, memory_order_relaxed) == sequence;
}

void slab_read_histogram(const struct slab *slab, const struct series *series, uint64_t *buckets,
			 uint64_t *sum)
{
	const _Atomic uint64_t *cell = slab_cell(slab, series);
	size_t n_buckets = series->histogram->n_bounds + 1;
	uint64_t copy[HISTOGRAM_MAX_BUCKETS];
	uint64_t copied_sum;

	/* An observation takes nanoseconds, unless its thread lost the processor within it. */
	for (unsigned i = 1; !try_read(cell, copy, n_buckets, &copied_sum); i++)
		if (i % READS_BEFORE_YIELD == 0)
			sched_yield();
	for (size_t i = 0; i < n_buckets; i++)
		buckets[i] += copy[i];
	*sum += copied_sum;
}

static _Atomic uint64_t *exemplar_cells(const struct slab *slab, const struct series *series,
					size_t bucket)
{
	return slab_cell(slab, series) + SLAB_BUCKETS + series->histogram->n_bounds + 1 +
	       bucket * SLAB_EXEMPLAR_CELLS;
}

void slab_set_exemplar(struct slab *slab, const struct series *series,
		       const struct exemplar *exemplar)
{
	_Atomic uint64_t *cell =
		exemplar_cells(slab, series, histogram_bucket(series->histogram, exemplar->value));
	uint64_t sequence = atomic_load_explicit(cell, memory_order_relaxed);

	/* As in slab_observe(); the releases pair with the acquires in try_read_exemplar(). */
	atomic_store_explicit(cell, sequence + 1, memory_order_relaxed);
	atomic_store_explicit(cell + 1, exemplar->trace.high, memory_order_release);
	atomic_store_explicit(cell + 2, exemplar->trace.low, memory_order_release);
	atomic_store_explicit(cell + 3, exemplar->value, memory_order_release);
	atomic_store_explicit(cell + 4, exemplar->unix_msec, memory_order_release);
	atomic_store_explicit(cell, sequence + 2, memory_order_release);
}

static bool try_read_exemplar(const _Atomic uint64_t *cell, struct exemplar *exemplar)
{
	/* All acquires pair with the releases in slab_set_exemplar(). */
	uint64_t sequence = atomic_load_explicit(cell, memory_order_acquire);

	if (sequence & 1)
		return false;
	exemplar->trace.high = atomic_load_explicit(cell + 1, memory_order_acquire);
	exemplar->trace.low = atomic_load_explicit(cell + 2, memory_order_acquire);
	exemplar->value = atomic_load_explicit(cell + 3, memory_order_acquire);
	exemplar->unix_msec = atomic_load_explicit(cell + 4, memory_order_acquire);
	return atomic_load_explicit(cell, memory_order_relaxed) == sequence;
}

void slab_read_exemplars(const struct slab *slab, const struct series *series,
			 struct exemplar *exemplars)
{
	for (size_t i = 0; i <= series->histogram->n_bounds; i++) {
		const _Atomic uint64_t *cell = exemplar_cells(slab, series, i);
		struct exemplar found;

		for (unsigned j = 1; !try_read_exemplar(cell, &found); j++)
			if (j % READS_BEFORE_YIELD == 0)
				sched_yield();
		if (found.unix_msec > exemplars[i].unix_msec)
			exemplars[i] = found;
	}
}
