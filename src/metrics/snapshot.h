/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way to read the registry: a walk over all families and series with their sums over the
 * slabs. Every face (text, JSON, later StatsD) is a visitor of it. Any thread; does not stop
 * writers. A histogram's count is the sum of the buckets read in the same pass and its sum belongs
 * to exactly those observations.
 */
#pragma once

#include "metrics/registry.h"

struct sample {
	enum metric metric;
	const struct str *values; /* real label values, as many as the family has */
	struct str labels; /* the same as text: model="a",backend="b"; empty without labels */
	const struct series *series; /* NULL for provided gauges */
	int64_t value;               /* counters and gauges */
	const uint64_t *buckets; /* histograms: non-cumulative, the last one is above all bounds */
	size_t n_buckets;
	uint64_t count, sum;
	const struct exemplar *exemplars; /* of each bucket; NULL where the family has none */
};

struct snapshot_visitor {
	/* Before the samples of a family; families without samples are visited, too. May be NULL.
	 */
	void (*family)(void *context, enum metric metric);
	/* `merged` visitors get series whose label texts are equal added up as one sample. */
	void (*sample)(void *context, const struct sample *sample);
	void *context;
	const bool *only; /* by metric: the families to visit; NULL for all */
	bool merged;
};

/* -ENOMEM when the working space could not be had; nothing was visited then. */
int snapshot_visit(struct registry *registry, const struct snapshot_visitor *visitor) MUST_CHECK;
