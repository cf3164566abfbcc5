/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A series: one label set of a family, where its cells are and what it is called; and the hash
 * tables that find one. Series and tables are made under the registry's mutex and read by any
 * thread without it; they live as long as the registry.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/hash.h"
#include "base/str.h"
#include "metrics/catalog.h"
#include "metrics/histogram.h"

struct series {
	uint32_t cell; /* the first of its cells, the same in every slab */
	enum metric metric;
	const struct histogram *histogram; /* NULL for counters and gauges */
	const struct str *values;          /* real label values, metric_row(metric)->n_labels */
	struct str labels;                 /* the same as text, ready to be printed */
	bool has_exemplars;                /* they stand behind its buckets */
	_Atomic uint64_t born_msec;        /* since 1970 */
	bool is_twin;                      /* an older one of the family has the same text */
	_Atomic bool is_hidden;            /* an _other that was not needed yet */
	_Atomic(struct series *) twin;     /* the next one with the same text */
	_Atomic(struct series *) next;     /* of the family, in the order of birth */
};

/* Copies values and text. NULL for no memory. */
struct series *series_new(enum metric metric, const struct str *values,
			  struct str labels) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct series *series_free(struct series *series);

/* What a series is looked up by: its values or its text. */
struct series_key {
	enum metric metric;
	bool by_labels;
	const struct str *values;
	struct str labels;
	uint64_t hash;
};

struct series_key series_key_of_values(struct hash_seed seed, enum metric metric,
				       const struct str *values);
struct series_key series_key_of_labels(struct hash_seed seed, enum metric metric,
				       struct str labels);

struct series_table;

struct series_table *series_table_new(void) MUST_CHECK;
/* Frees it and its outgrown predecessors, not the series. Accepts NULL, returns NULL. */
struct series_table *series_table_free(struct series_table *table);
/* Any thread. NULL when absent. */
struct series *series_table_find(_Atomic(struct series_table *) *pointer,
				 const struct series_key *key);
/* Under the mutex: makes sure that one more can be added, replacing the table by a larger one if
 * need be. -ENOMEM. */
int series_table_reserve(_Atomic(struct series_table *) *pointer) MUST_CHECK;
/* Under the mutex. `key` must be absent and room reserved. */
void series_table_add(_Atomic(struct series_table *) *pointer, const struct series_key *key,
		      struct series *series);
