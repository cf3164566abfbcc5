/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way to read the registry: a walk over all families and series with their sums over the
 * slabs. Every face (text, JSON, StatsD) is a visitor of it. Any thread; does not stop writers. A
 * histogram's count is the sum of the buckets read in the same pass and its sum belongs to exactly
 * those observations. Each series is read when the walk comes to it.
 */
#pragma once

#include "metrics/provider.h"
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
	bool own; /* without what an earlier process counted */
};

/* -ENOMEM when the working space could not be had; nothing was visited then. */
int snapshot_visit(struct registry *registry, const struct snapshot_visitor *visitor) MUST_CHECK;

/* A walk that may rest after each step, for as long as the registry lives. Owned by its walker,
 * members are the snapshot's. */
struct snapshot {
	struct registry *registry;
	struct snapshot_visitor visitor;
	struct provided_set set;
	int metric;                  /* the family the walk is in, or the one to look at next */
	bool is_inside;              /* the family */
	const struct series *series; /* the next one */
	size_t item;                 /* the next one of the set */
};

/* Asks the providers. -ENOMEM; call snapshot_end() in any case. */
int snapshot_begin(struct snapshot *snapshot, struct registry *registry,
		   const struct snapshot_visitor *visitor) MUST_CHECK;
/* Visits the next family or sample. False: there was none left. */
bool snapshot_step(struct snapshot *snapshot);
void snapshot_end(struct snapshot *snapshot);
