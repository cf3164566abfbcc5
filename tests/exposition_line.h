/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of one sample line, the same in the classic text format and in OpenMetrics 1.0 (its
 * specification's ABNF). What lines mean together is judged by openmetrics_check.c. All slices lie
 * in the line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum { EXPOSITION_MAX_LABELS = 32 };

struct exposition_label {
	struct str name, value; /* the value as written, with its escapes */
};

struct exposition_labels {
	size_t n;
	struct exposition_label items[EXPOSITION_MAX_LABELS];
};

struct exposition_sample {
	struct str name;
	struct exposition_labels labels;
	double value;
	bool has_timestamp, has_exemplar;
	double timestamp;
	size_t exemplar_characters; /* of the names and values of its labels */
};

/* NULL, or what is wrong. */
const char *exposition_sample_parse(struct str line, struct exposition_sample *sample);

bool exposition_is_metric_name(struct str name);
/* Digits with an optional point and exponent: no NaN, no infinity. */
bool exposition_real_parse(struct str text, double *ret_value);
/* NULL when the label is not there. */
const struct exposition_label *exposition_label_find(const struct exposition_labels *labels,
						     struct str name);
