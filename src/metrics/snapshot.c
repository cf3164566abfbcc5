/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/snapshot.h"

#include "metrics/provider.h"
#include "metrics/registry_state.h"

/* Adds the parts of all slabs to what is there. */
static void add_up(struct registry *registry, const struct series *series, struct sample *sample,
		   uint64_t *buckets, struct exemplar *exemplars)
{
	/* Pairs with the release in registry_slab_new(). */
	const struct slab *slab = atomic_load_explicit(&registry->slabs, memory_order_acquire);
	uint64_t value = (uint64_t)sample->value;

	for (; slab; slab = slab->next) {
		if (series->histogram)
			slab_read_histogram(slab, series, buckets, &sample->sum);
		else
			value += slab_read(slab, series);
	}
	sample->value = (int64_t)value;
	if (!series->has_exemplars)
		return;
	slab = atomic_load_explicit(&registry->slabs, memory_order_acquire); /* as above */
	for (; slab; slab = slab->next)
		slab_read_exemplars(slab, series, exemplars);
}

static void visit_series(struct registry *registry, const struct snapshot_visitor *visitor,
			 const struct series *series)
{
	uint64_t buckets[HISTOGRAM_MAX_BUCKETS];
	struct exemplar exemplars[HISTOGRAM_MAX_BUCKETS];
	struct sample sample = {
		.metric = series->metric,
		.values = series->values,
		.labels = series->labels,
		.series = series,
		.buckets = buckets,
		.n_buckets = series->histogram ? series->histogram->n_bounds + 1 : 0,
		.exemplars = series->has_exemplars ? exemplars : NULL,
	};

	memset(buckets, 0, sample.n_buckets * sizeof(buckets[0]));
	if (series->has_exemplars)
		memset(exemplars, 0, sizeof(exemplars));
	add_up(registry, series, &sample, buckets, exemplars);
	while (visitor->merged) {
		/* Pairs with the release in join_twins(). */
		series = atomic_load_explicit(&series->twin, memory_order_acquire);
		if (!series)
			break;
		add_up(registry, series, &sample, buckets, exemplars);
	}
	for (size_t i = 0; i < sample.n_buckets; i++)
		sample.count += buckets[i];
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

static void visit_family(struct registry *registry, const struct snapshot_visitor *visitor,
			 const struct family *family)
{
	/* Pairs with the release in append(), as below. */
	const struct series *series = atomic_load_explicit(&family->first, memory_order_acquire);

	while (series) {
		if (is_shown(series, visitor->merged))
			visit_series(registry, visitor, series);
		series = atomic_load_explicit(&series->next, memory_order_acquire);
	}
}

static void visit_provided(const struct snapshot_visitor *visitor, const struct provided_set *set,
			   enum metric metric)
{
	size_t n_labels = metric_row(metric)->n_labels;

	for (size_t i = set->first[metric]; i < set->first[metric + 1]; i++) {
		const struct provided *item = provider_item(set, i);
		struct str values[METRIC_MAX_LABELS];
		struct sample sample = {
			.metric = metric,
			.values = values,
			.labels = provider_text(set, item->labels_at, item->labels_bytes),
			.value = item->value,
		};
		size_t at = item->values_at;

		for (size_t j = 0; j < n_labels; at += values[j++].n)
			values[j] = provider_text(set, at, item->value_bytes[j]);
		visitor->sample(visitor->context, &sample);
	}
}

int snapshot_visit(struct registry *registry, const struct snapshot_visitor *visitor)
{
	struct provided_set set;
	int r = provider_collect(registry, visitor->merged, &set);

	if (r < 0)
		goto out;
	for (int i = 0; i < N_METRICS; i++) {
		enum metric metric = (enum metric)i;

		if (visitor->only && !visitor->only[metric])
			continue;
		if (visitor->family)
			visitor->family(visitor->context, metric);
		visit_family(registry, visitor, &registry->families[metric]);
		visit_provided(visitor, &set, metric);
	}
out:
	provider_done(&set);
	return r;
}
