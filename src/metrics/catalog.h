/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The families of catalog.def as an enum and a table: what each is called, which labels it has,
 * in which unit it is fed and where its values come from. Constant.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric {
#define METRIC(id, kind, name, unit, labels, source, help) METRIC_##id,
#include "metrics/catalog.def"
#undef METRIC
	N_METRICS
};

enum metric_kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM, KIND_INFO };

/* UNIT_SECONDS: integers are nanoseconds and texts show seconds. */
enum metric_unit { UNIT_NONE, UNIT_SECONDS };

/* A histogram's source is its set of buckets. */
enum metric_source {
	SOURCE_LIVE,
	SOURCE_CELLS,
	SOURCE_DURATION,
	SOURCE_GATEWAY,
	SOURCE_TOKENS,
	N_SOURCES
};

#define METRIC_MAX_LABELS 3

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

/* Upper bounds, inclusive and ascending, in the unit the family is fed in; 0 of them unless
 * `source` is a set of buckets. */
const uint64_t *catalog_bounds(enum metric_source source, size_t *ret_n);

/* What the rows promise: names of the right form, and no sample name of one family, in any format,
 * that is a name of another. */
bool catalog_is_sound(void);
