/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/registry.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "metrics/label.h"
#include "metrics/registry_state.h"

enum {
	/* of one series */
	MAX_CELLS = SLAB_BUCKETS + HISTOGRAM_MAX_BUCKETS * (1 + SLAB_EXEMPLAR_CELLS),
	MAX_TEXT_BYTES = METRIC_MAX_LABELS * (2 * LABEL_MAX_BYTES + 64),
	/* Made at start in addition to the budget: for each family its unlabelled series or its
	 * _other, and its overflow counter. */
	FIXED_SERIES = 2 * N_METRICS,
};

/* Above any sensible configuration, and every cell's index still fits 32 bits. */
#define MAX_SERIES ((size_t)1 << 24)

#define NANO 1000000000u

static bool family_has_cells(const struct family *family)
{
	return family->row->source != SOURCE_LIVE;
}

static size_t cells_of(const struct family *family)
{
	size_t of_bucket = family->has_exemplars ? 1 + SLAB_EXEMPLAR_CELLS : 1;

	return family->histogram ? SLAB_BUCKETS + (family->histogram->n_bounds + 1) * of_bucket : 1;
}

static int add_chunk_to_all(struct registry *registry)
{
	struct slab *slab = atomic_load_explicit(&registry->slabs, memory_order_relaxed);

	assert(registry->n_chunks < registry->max_chunks);
	for (; slab; slab = slab->next)
		if (slab_add_chunk(slab, registry->n_chunks) < 0)
			return -ENOMEM;
	registry->n_chunks++;
	return 0;
}

/* A histogram's cells stay within one chunk. They are taken when next_cell moves past them. */
static int find_cells(struct registry *registry, size_t n, uint32_t *ret_cell)
{
	uint32_t cell = registry->next_cell;

	if (cell % SLAB_CHUNK_CELLS + n > SLAB_CHUNK_CELLS)
		cell += SLAB_CHUNK_CELLS - cell % SLAB_CHUNK_CELLS;
	if (cell / SLAB_CHUNK_CELLS >= registry->n_chunks && add_chunk_to_all(registry) < 0)
		return -ENOMEM;
	*ret_cell = cell;
	return 0;
}

static void append(struct family *family, struct series *series)
{
	_Atomic(struct series *) *link = family->last ? &family->last->next : &family->first;

	/* Pairs with the acquire in snapshot.c: a walker finds the series whole. */
	atomic_store_explicit(link, series, memory_order_release);
	family->last = series;
}

static void count(struct registry *registry, struct family *family)
{
	family->n_series++;
	atomic_fetch_add_explicit(&registry->n_series, 1, memory_order_relaxed);
}

/* Series with equal texts form a chain behind the oldest of them. */
static void join_twins(struct registry *registry, struct series *series)
{
	struct series_key key =
		series_key_of_labels(registry->seed, series->metric, series->labels);
	struct series *oldest = series_table_find(&registry->by_labels, &key);

	if (!oldest) {
		series_table_add(&registry->by_labels, &key, series);
		return;
	}
	series->is_twin = true;
	atomic_store_explicit(&series->twin,
			      atomic_load_explicit(&oldest->twin, memory_order_relaxed),
			      memory_order_relaxed);
	/* Pairs with the acquire in snapshot.c. */
	atomic_store_explicit(&oldest->twin, series, memory_order_release);
}

/* With the mutex. NULL for no memory; nothing has changed then. */
static struct series *series_bear(struct registry *registry, const struct series_key *key,
				  bool hidden)
{
	struct family *family = &registry->families[key->metric];
	struct series *series;
	uint32_t cell;

	buf_clear(&registry->text);
	if (label_write_all(&registry->text, key->metric, key->values,
			    registry->options.raw_labels) < 0 ||
	    find_cells(registry, cells_of(family), &cell) < 0 ||
	    series_table_reserve(&registry->by_labels) < 0 ||
	    series_table_reserve(&registry->by_values) < 0)
		return NULL;
	series = series_new(key->metric, key->values, buf_str(&registry->text));
	if (!series)
		return NULL;
	registry->next_cell = cell + (uint32_t)cells_of(family);
	series->cell = cell;
	series->histogram = family->histogram;
	series->has_exemplars = family->has_exemplars;
	atomic_store_explicit(&series->is_hidden, hidden, memory_order_relaxed);
	join_twins(registry, series);
	append(family, series);
	/* Who asks for the values of _other by name gets a visible series with the same text. */
	if (!hidden) {
		series_table_add(&registry->by_values, key, series);
		count(registry, family);
	}
	return series;
}

static bool is_within_budget(const struct registry *registry, const struct family *family)
{
	return family->n_series < registry->options.max_series_per_family &&
	       atomic_load_explicit(&registry->n_series, memory_order_relaxed) <
		       registry->options.max_series;
}

/* With the mutex. */
static struct series *show_other(struct registry *registry, struct family *family)
{
	if (atomic_load_explicit(&family->other->is_hidden, memory_order_relaxed)) {
		atomic_store_explicit(&family->other->is_hidden, false, memory_order_relaxed);
		count(registry, family);
	}
	return family->other;
}

void registry_overflow(struct registry *registry, enum metric metric, uint64_t n)
{
	struct family *family = &registry->families[metric];
	const char *name = registry_name(registry, metric);
	const struct log_field field = {NEXUSD_FIELD_METRIC, name};
	bool is_logged;

	pthread_mutex_lock(&registry->mutex);
	slab_add(registry->slab, family->overflow, n);
	is_logged = family->overflow_is_logged;
	family->overflow_is_logged = true;
	pthread_mutex_unlock(&registry->mutex);
	if (!is_logged)
		log_event_with(MESSAGE_SERIES_BUDGET, &field, 1,
			       "%s: no room for further label sets, they are counted as _other; "
			       "see metrics.max_series and metrics.max_series_per_family",
			       name);
}

static const struct series *find_or_bear(struct registry *registry, const struct series_key *key)
{
	struct family *family = &registry->families[key->metric];
	struct series *series;

	assert(family_has_cells(family));
	pthread_mutex_lock(&registry->mutex);
	series = series_table_find(&registry->by_values, key);
	if (!series && is_within_budget(registry, family))
		series = series_bear(registry, key, false);
	if (!series)
		series = show_other(registry, family);
	pthread_mutex_unlock(&registry->mutex);
	if (series == family->other)
		registry_overflow(registry, key->metric, 1);
	return series;
}

const struct series *registry_series(struct registry *registry, enum metric metric,
				     const struct str *values)
{
	struct series_key key = series_key_of_values(registry->seed, metric, values);
	const struct series *series = series_table_find(&registry->by_values, &key);

	return series ? series : find_or_bear(registry, &key);
}

struct slab *registry_slab_new(struct registry *registry)
{
	struct slab *slab = slab_new(registry->max_chunks);

	if (!slab)
		return NULL;
	pthread_mutex_lock(&registry->mutex);
	for (size_t i = 0; i < registry->n_chunks; i++)
		if (slab_add_chunk(slab, i) < 0)
			goto fail;
	slab->next = atomic_load_explicit(&registry->slabs, memory_order_relaxed);
	/* Pairs with the acquire in snapshot.c: a reader finds the chunks of all series there. */
	atomic_store_explicit(&registry->slabs, slab, memory_order_release);
	pthread_mutex_unlock(&registry->mutex);
	return slab;
fail:
	pthread_mutex_unlock(&registry->mutex);
	return slab_free(slab);
}

struct slab *registry_inherited_slab(struct registry *registry)
{
	if (!registry->inherited)
		registry->inherited = registry_slab_new(registry);
	return registry->inherited;
}

/* Counts itself when a snapshot asks. */
static void collect_n_series(void *context, provider_emit_fn *emit, void *emitter)
{
	struct registry *registry = context;
	size_t n = atomic_load_explicit(&registry->n_series, memory_order_relaxed);

	emit(emitter, NULL, (int64_t)n);
}

static void collect_render_time(void *context, provider_emit_fn *emit, void *emitter)
{
	struct registry *registry = context;

	emit(emitter, NULL,
	     (int64_t)atomic_load_explicit(&registry->render_ns, memory_order_relaxed));
}

void registry_set_render_ns(struct registry *registry, uint64_t ns)
{
	atomic_store_explicit(&registry->render_ns, ns, memory_order_relaxed);
}

/* What needs no name from outside is there from the start. */
static int bear_fixed(struct registry *registry, struct family *family)
{
	struct str others[METRIC_MAX_LABELS];
	enum metric metric = (enum metric)(family - registry->families);
	struct str name = str_of(registry_name(registry, metric));
	struct series_key other, counter;

	for (size_t i = 0; i < METRIC_MAX_LABELS; i++)
		others[i] = STR_LITERAL("_other");
	other = series_key_of_values(registry->seed, metric, others);
	counter = series_key_of_values(registry->seed, METRIC_METRIC_OVERFLOW, &name);
	if (family_has_cells(family)) {
		family->other = series_bear(registry, &other, family->row->n_labels > 0);
		if (!family->other)
			return -ENOMEM;
	}
	if (family->row->n_labels == 0)
		return 0;
	family->overflow = series_bear(registry, &counter, false);
	return family->overflow ? 0 : -ENOMEM;
}

/* 0 for a source that is no set of buckets. */
static int init_histogram(struct registry *registry, enum metric_source source)
{
	const struct registry_bounds *wanted = &registry->options.bounds[source];
	uint64_t bounds[CATALOG_MAX_BOUNDS];
	size_t n = catalog_bounds(source, bounds);

	if (n == 0)
		return 0;
	if (wanted->n > CATALOG_MAX_BOUNDS)
		return -EINVAL;
	if (wanted->n) {
		n = wanted->n;
		memcpy(bounds, wanted->nano, n * sizeof(bounds[0]));
	}
	if (!metric_unit_is_nano(catalog_bounds_unit(source)))
		for (size_t i = 0; i < n; i++)
			bounds[i] /= NANO;
	return histogram_init(&registry->histograms[source], bounds, n);
}

const char *registry_name(const struct registry *registry, enum metric metric)
{
	return metric_name(metric, registry->options.clean_names);
}

bool registry_shows_created(const struct registry *registry)
{
	return registry->options.created;
}

struct str registry_family_name(const struct registry *registry, enum metric metric)
{
	return metric_family_name(metric, registry->options.clean_names);
}

bool registry_has_name(const struct registry *registry, enum metric metric, struct str name)
{
	return metric_has_name(metric, registry->options.clean_names, name);
}

const struct histogram *registry_histogram(const struct registry *registry, enum metric metric)
{
	return registry->families[metric].histogram;
}

static int init_families(struct registry *registry)
{
	for (int source = 0; source < N_SOURCES; source++) {
		int r = init_histogram(registry, (enum metric_source)source);

		if (r < 0)
			return r;
	}
	for (int metric = 0; metric < N_METRICS; metric++) {
		struct family *family = &registry->families[metric];

		family->row = metric_row((enum metric)metric);
		if (family->row->kind == KIND_HISTOGRAM)
			family->histogram = &registry->histograms[family->row->source];
		family->has_exemplars =
			registry->options.exemplars && metric_has_exemplars((enum metric)metric);
	}
	for (int metric = 0; metric < N_METRICS; metric++)
		if (bear_fixed(registry, &registry->families[metric]) < 0)
			return -ENOMEM;
	if (registry_provide(registry, METRIC_METRICS_RENDER, collect_render_time, registry) < 0)
		return -ENOMEM;
	return registry_provide(registry, METRIC_METRIC_SERIES, collect_n_series, registry);
}

static size_t chunks_for(size_t n_series)
{
	/* Fewer than MAX_CELLS are left over at the end of a chunk. */
	return n_series / ((SLAB_CHUNK_CELLS - MAX_CELLS) / MAX_CELLS) + 2;
}

struct registry *registry_new(const struct registry_options *options)
{
	struct registry *registry = calloc(1, sizeof(*registry));

	assert(catalog_is_sound());
	if (!registry)
		return NULL;
	registry->options = *options;
	if (registry->options.max_series > MAX_SERIES)
		registry->options.max_series = MAX_SERIES;
	registry->max_chunks = chunks_for(registry->options.max_series + FIXED_SERIES);
	registry->seed = hash_seed_new();
	pthread_mutex_init(&registry->mutex, NULL);
	buf_init(&registry->text, MAX_TEXT_BYTES);
	registry->by_values = series_table_new();
	registry->by_labels = series_table_new();
	if (!registry->by_values || !registry->by_labels)
		return registry_free(registry);
	registry->slab = registry_slab_new(registry);
	if (!registry->slab || init_families(registry) < 0 || bundle_init_registry(registry) < 0)
		return registry_free(registry);
	return registry;
}

static void free_series(struct family *family)
{
	struct series *series = family->first;

	while (series) {
		struct series *next = series->next;

		series_free(series);
		series = next;
	}
}

struct registry *registry_free(struct registry *registry)
{
	struct slab *slab, *next_slab;

	if (!registry)
		return NULL;
	bundle_done_registry(registry);
	for (int metric = 0; metric < N_METRICS; metric++)
		free_series(&registry->families[metric]);
	for (slab = registry->slabs; slab; slab = next_slab) {
		next_slab = slab->next;
		slab_free(slab);
	}
	series_table_free(registry->by_values);
	series_table_free(registry->by_labels);
	buf_done(&registry->text);
	pthread_mutex_destroy(&registry->mutex);
	free(registry);
	return NULL;
}
