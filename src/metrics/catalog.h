/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The families of catalog.def as an enum and a table: what each is called, which labels it has,
 * in which unit it is fed and where its values come from. Constant.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum metric {
#define METRIC(id, kind, name, unit, labels, source, group, help) METRIC_##id,
#include "metrics/catalog.def"
#undef METRIC
	N_METRICS
};

enum metric_kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM, KIND_INFO };

/* X(id, name as the end of a family's name, are the integers billionths of it) */
#define METRIC_UNITS(X)              \
	X(NONE, "", false)           \
	X(BYTES, "_bytes", false)    \
	X(SECONDS, "_seconds", true) \
	X(USD, "_usd", true)

enum metric_unit {
#define X(id, name, nano) UNIT_##id,
	METRIC_UNITS(X)
#undef X
};

/* A histogram's source is its set of buckets. */
enum metric_source {
	SOURCE_LIVE,
	SOURCE_CELLS,
#define BUCKETS(id, unit, bounds) SOURCE_##id,
#include "metrics/buckets.def"
#undef BUCKETS
	N_SOURCES
};

#define METRIC_MAX_LABELS  5
#define CATALOG_MAX_BOUNDS 31

struct metric_row {
	const char *name;
	enum metric_kind kind;
	enum metric_unit unit;
	const char *labels[METRIC_MAX_LABELS];
	size_t n_labels;
	enum metric_source source;
	const char *help;
};

const struct metric_row *metric_row(enum metric metric);

/* The name as scraped; `clean` (metrics.naming) avoids _total for what is no counter. */
const char *metric_name(enum metric metric, bool clean);

/* The same without the suffix that OpenMetrics leaves to the samples (_total, _info). */
struct str metric_family_name(enum metric metric, bool clean);
/* Whether the family or one of its samples is called so, in either format. */
bool metric_has_name(enum metric metric, bool clean, struct str name);

/* Whether its buckets can name a trace; histograms only. */
bool metric_has_exemplars(enum metric metric);

/* "_seconds", "_usd", "_bytes" or "". */
const char *metric_unit_name(enum metric_unit unit);
/* Are the integers of this unit billionths (nanoseconds, nano-dollars)? */
bool metric_unit_is_nano(enum metric_unit unit);

/* The upper bounds of a set of buckets, inclusive and ascending, in billionths of the unit they are
 * read in. Returns how many, 0 unless `source` is one. */
size_t catalog_bounds(enum metric_source source, uint64_t nano[static CATALOG_MAX_BOUNDS]);
/* Of a set of buckets: the unit in which it is fed. */
enum metric_unit catalog_bounds_unit(enum metric_source source);

/* What the rows promise: names of the right form, and no sample name of one family, in any format,
 * that is a name of another. */
bool catalog_is_sound(void);
