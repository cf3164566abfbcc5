/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/snapshot.h"

#include "metrics/registry_state.h"

/* Where the parts of a histogram are added up. */
struct sums {
	uint64_t buckets[HISTOGRAM_MAX_BUCKETS];
	struct exemplar exemplars[HISTOGRAM_MAX_BUCKETS];
};

/* Adds the parts of all slabs but `omitted` to what is there. */
static void add_up(struct registry *registry, const struct slab *omitted,
		   const struct series *series, struct sample *sample, struct sums *sums)
{
	/* Pairs with the release in registry_slab_new(). */
	const struct slab *slab = atomic_load_explicit(&registry->slabs, memory_order_acquire);
	uint64_t value = (uint64_t)sample->value;

	for (; slab; slab = slab->next) {
		if (slab == omitted)
			continue;
		if (series->histogram)
			slab_read_histogram(slab, series, sums->buckets, &sample->sum);
		else
			value += slab_read(slab, series);
		if (series->has_exemplars)
			slab_read_exemplars(slab, series, sums->exemplars);
	}
	sample->value = (int64_t)value;
}

static void visit_series(struct registry *registry, const struct snapshot_visitor *visitor,
			 const struct series *series)
{
	const struct slab *omitted = visitor->own ? registry->inherited : NULL;
	struct sums sums;
	struct sample sample = {
		.metric = series->metric,
		.values = series->values,
		.labels = series->labels,
		.series = series,
		.buckets = sums.buckets,
		.n_buckets = series->histogram ? series->histogram->n_bounds + 1 : 0,
		.exemplars = series->has_exemplars ? sums.exemplars : NULL,
	};

	memset(sums.buckets, 0, sample.n_buckets * sizeof(sums.buckets[0]));
	if (series->has_exemplars)
		memset(sums.exemplars, 0, sizeof(sums.exemplars));
	add_up(registry, omitted, series, &sample, &sums);
	while (visitor->merged) {
		/* Pairs with the release in join_twins(). */
		series = atomic_load_explicit(&series->twin, memory_order_acquire);
		if (!series)
			break;
		add_up(registry, omitted, series, &sample, &sums);
	}
	for (size_t i = 0; i < sample.n_buckets; i++)
		sample.count += sums.buckets[i];
	visitor->sample(visitor->context, &sample);
}

static bool is_shown(const struct series *series, bool merged)
{
	if (merged && series->is_twin)
		return false;
	if (!atomic_load_explicit(&series->is_hidden, memory_order_relaxed))
		return true;
	return merged && atomic_load_explicit(&series->twin, memory_order_relaxed);
}

static void visit_provided(const struct snapshot *snapshot, enum metric metric, size_t i)
{
	const struct provided_set *set = &snapshot->set;
	const struct provided *item = provider_item(set, i);
	struct str values[METRIC_MAX_LABELS];
	struct sample sample = {
		.metric = metric,
		.values = values,
		.labels = provider_text(set, item->labels_at, item->labels_bytes),
		.value = item->value,
	};
	size_t at = item->values_at;

	for (size_t j = 0; j < metric_row(metric)->n_labels; at += values[j++].n)
		values[j] = provider_text(set, at, item->value_bytes[j]);
	snapshot->visitor.sample(snapshot->visitor.context, &sample);
}

int snapshot_begin(struct snapshot *snapshot, struct registry *registry,
		   const struct snapshot_visitor *visitor)
{
	*snapshot = (struct snapshot){.registry = registry, .visitor = *visitor};
	return provider_collect(registry, visitor->only, visitor->merged, &snapshot->set);
}

/* The next family that is wanted. */
static bool enter_family(struct snapshot *snapshot)
{
	const bool *only = snapshot->visitor.only;

	while (snapshot->metric < N_METRICS && only && !only[snapshot->metric])
		snapshot->metric++;
	if (snapshot->metric == N_METRICS)
		return false;
	snapshot->is_inside = true;
	/* Pairs with the release in append(), as below. */
	snapshot->series = atomic_load_explicit(
		&snapshot->registry->families[snapshot->metric].first, memory_order_acquire);
	snapshot->item = snapshot->set.first[snapshot->metric];
	return true;
}

/* The next sample of the family. */
static bool step_inside(struct snapshot *snapshot)
{
	bool merged = snapshot->visitor.merged;

	while (snapshot->series) {
		const struct series *series = snapshot->series;

		snapshot->series = atomic_load_explicit(&series->next, memory_order_acquire);
		if (is_shown(series, merged)) {
			visit_series(snapshot->registry, &snapshot->visitor, series);
			return true;
		}
	}
	if (snapshot->item == snapshot->set.first[snapshot->metric + 1])
		return false;
	visit_provided(snapshot, (enum metric)snapshot->metric, snapshot->item++);
	return true;
}

bool snapshot_step(struct snapshot *snapshot)
{
	const struct snapshot_visitor *visitor = &snapshot->visitor;

	for (;;) {
		if (snapshot->is_inside && step_inside(snapshot))
			return true;
		snapshot->metric += snapshot->is_inside;
		snapshot->is_inside = false;
		if (!enter_family(snapshot))
			return false;
		if (visitor->family) {
			visitor->family(visitor->context, (enum metric)snapshot->metric);
			return true;
		}
	}
}

void snapshot_end(struct snapshot *snapshot)
{
	provider_done(&snapshot->set);
}

int snapshot_visit(struct registry *registry, const struct snapshot_visitor *visitor)
{
	struct snapshot snapshot;
	int r = snapshot_begin(&snapshot, registry, visitor);

	while (r == 0 && snapshot_step(&snapshot))
		;
	snapshot_end(&snapshot);
	return r;
}
