/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/catalog.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/str.h"

#define LABELS(...)              \
	.labels = {__VA_ARGS__}, \
	.n_labels = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)
#define NO_LABELS .n_labels = 0

static const struct metric_row rows[] = {
#define METRIC(id_, kind_, name_, unit_, labels_, source_, help_) \
	[METRIC_##id_] = {                                        \
		.name = (name_),                                  \
		.kind = KIND_##kind_,                             \
		.unit = UNIT_##unit_,                             \
		labels_,                                          \
		.source = SOURCE_##source_,                       \
		.help = (help_),                                  \
	},
#include "metrics/catalog.def"
#undef METRIC
};

const struct metric_row *metric_row(enum metric metric)
{
	return &rows[metric];
}

#define MSEC(n) ((n)*NS_PER_MSEC)
#define SEC(n)  ((n)*NS_PER_SEC)

static const uint64_t duration_bounds[] = {
	MSEC(100), MSEC(250), MSEC(500), SEC(1),   SEC(2) + MSEC(500), SEC(5),
	SEC(10),   SEC(30),   SEC(60),   SEC(120), SEC(300),
};

static const uint64_t gateway_bounds[] = {
	MSEC(5),   MSEC(10), MSEC(25),           MSEC(50), MSEC(100), MSEC(250),
	MSEC(500), SEC(1),   SEC(2) + MSEC(500), SEC(5),   SEC(10),   SEC(15),
	SEC(30),   SEC(60),  SEC(120),           SEC(300),
};

static const uint64_t token_bounds[] = {
	10, 50, 100, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000,
};

const uint64_t *catalog_bounds(enum metric_source source, size_t *ret_n)
{
	switch (source) {
	case SOURCE_DURATION:
		*ret_n = ARRAY_SIZE(duration_bounds);
		return duration_bounds;
	case SOURCE_GATEWAY:
		*ret_n = ARRAY_SIZE(gateway_bounds);
		return gateway_bounds;
	case SOURCE_TOKENS:
		*ret_n = ARRAY_SIZE(token_bounds);
		return token_bounds;
	case SOURCE_LIVE:
	case SOURCE_CELLS:
	case N_SOURCES:
		break;
	}
	*ret_n = 0;
	return NULL;
}

static bool ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), n_suffix = strlen(suffix);

	return n > n_suffix && strcmp(name + n - n_suffix, suffix) == 0;
}

static bool is_metric_name(const char *name)
{
	return name[0] >= 'a' && name[0] <= 'z' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static bool row_is_sound(const struct metric_row *row)
{
	bool has_buckets = row->source != SOURCE_LIVE && row->source != SOURCE_CELLS;

	for (size_t i = 0; i < row->n_labels; i++)
		/* `le` is a histogram's own; two leading underscores are Prometheus' own. */
		if (!is_metric_name(row->labels[i]) || strcmp(row->labels[i], "le") == 0)
			return false;
	if (!is_metric_name(row->name) || has_buckets != (row->kind == KIND_HISTOGRAM))
		return false;
	if (row->source == SOURCE_LIVE && row->kind != KIND_GAUGE && row->kind != KIND_INFO)
		return false;
	return (row->kind != KIND_COUNTER || ends_in(row->name, "_total")) &&
	       (row->kind != KIND_INFO || ends_in(row->name, "_info"));
}

enum { MAX_NAMES = 5, NAME_BYTES = 96 };

/* Every name under which a family can turn up: as a family and as samples, in either format. */
static size_t derived_names(const struct metric_row *row, char names[][NAME_BYTES])
{
	static const char *const added[] = {"_bucket", "_sum", "_count", "_created"};
	/* A counter's and an info's family goes by the name without _total and _info. */
	const char *cut = row->kind == KIND_COUNTER ? "_total"
			  : row->kind == KIND_INFO  ? "_info"
						    : "";
	int n_family = (int)(strlen(row->name) - strlen(cut));
	size_t n = 0;

	snprintf(names[n++], NAME_BYTES, "%s", row->name);
	if (*cut)
		snprintf(names[n++], NAME_BYTES, "%.*s", n_family, row->name);
	if (row->kind == KIND_COUNTER)
		snprintf(names[n++], NAME_BYTES, "%.*s_created", n_family, row->name);
	if (row->kind == KIND_HISTOGRAM)
		for (size_t i = 0; i < ARRAY_SIZE(added); i++)
			snprintf(names[n++], NAME_BYTES, "%s%s", row->name, added[i]);
	return n;
}

bool catalog_is_sound(void)
{
	char names[N_METRICS * MAX_NAMES][NAME_BYTES];
	size_t n = 0;

	for (size_t i = 0; i < N_METRICS; i++) {
		if (!row_is_sound(&rows[i]))
			return false;
		n += derived_names(&rows[i], names + n);
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(names[i], names[j]) == 0)
				return false;
	return true;
}
