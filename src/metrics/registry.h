/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: families from catalog.def, their series, and one slab of cells per writing thread.
 * Recording is a relaxed load and store into the thread's own slab: no lock, no allocation,
 * no lookup. Making a series takes a mutex, once per label set. Series are never freed and never
 * move. Values are integers in the family's unit (ns, bytes, tokens, ...).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "metrics/catalog.h"
#include "metrics/histogram.h"
#include "metrics/slab.h"

struct registry;

/* Upper bounds in billionths of the unit; none: those of buckets.def. Copied. */
struct registry_bounds {
	const uint64_t *nano;
	size_t n;
};

struct registry_options {
	bool raw_labels;   /* metrics.label_values = "raw" */
	bool clean_names;  /* metrics.naming = "clean" */
	bool exemplars;    /* cells for them, in the families that have some */
	bool created;      /* OpenMetrics shows when series began */
	size_t max_series; /* in all */
	size_t max_series_per_family;
	struct registry_bounds bounds[N_SOURCES];
};

/* NULL for no memory, or for bounds that do not ascend. */
struct registry *registry_new(const struct registry_options *options) MUST_CHECK;
/* No slab may be written any more. Accepts NULL, returns NULL. */
struct registry *registry_free(struct registry *registry);

/* The family's name as its texts show it. */
const char *registry_name(const struct registry *registry, enum metric metric);
/* Whether texts that can should show when a series began. */
bool registry_shows_created(const struct registry *registry);
/* For nexus_metrics_render_seconds. Any thread. */
void registry_set_render_ns(struct registry *registry, uint64_t ns);
/* As metric_family_name() and metric_has_name(). */
struct str registry_family_name(const struct registry *registry, enum metric metric);
bool registry_has_name(const struct registry *registry, enum metric metric, struct str name);
/* The shape of all histograms of a family; NULL for other kinds. */
const struct histogram *registry_histogram(const struct registry *registry, enum metric metric);

/* A slab for the calling thread to write; owned by the registry. NULL for no memory. */
struct slab *registry_slab_new(struct registry *registry) MUST_CHECK;

/* The slab for what an earlier process counted, the same one at each call; visitors of a snapshot
 * may leave it out. Before the first snapshot by another thread. NULL for no memory. */
struct slab *registry_inherited_slab(struct registry *registry) MUST_CHECK;

/*
 * The series of a family with these label values (as many as the family has labels; real names,
 * any bytes; NULL without labels). Any thread. Never NULL: past a budget, or without memory, it is
 * the family's _other series and nexus_metric_overflow_total{metric} counts the call. Born at 0,
 * visible at once.
 */
const struct series *registry_series(struct registry *registry, enum metric metric,
				     const struct str *values);

/* A gauge read when a snapshot is taken: `collect` calls `emit` for each of its label sets, on the
 * thread that takes the snapshot, so perhaps on several at once. Register before the first
 * snapshot. -ENOMEM. */
typedef void provider_emit_fn(void *emitter, const struct str *values, int64_t value);
int registry_provide(struct registry *registry, enum metric metric,
		     void (*collect)(void *context, provider_emit_fn *emit, void *emitter),
		     void *context) MUST_CHECK;
