/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/catalog.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/str.h"

#define LABELS(...)              \
	.labels = {__VA_ARGS__}, \
	.n_labels = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)
#define NO_LABELS .n_labels = 0

static const struct metric_row rows[] = {
#define METRIC(id_, kind_, name_, unit_, labels_, source_, group_, help_) \
	[METRIC_##id_] = {                                                \
		.name = (name_),                                          \
		.kind = KIND_##kind_,                                     \
		.unit = UNIT_##unit_,                                     \
		labels_,                                                  \
		.source = SOURCE_##source_,                               \
		.help = (help_),                                          \
	},
#include "metrics/catalog.def"
#undef METRIC
};

const struct metric_row *metric_row(enum metric metric)
{
	return &rows[metric];
}

const char *metric_name(enum metric metric, bool clean)
{
	/* nexus_tokens_total is a histogram and nexus_backends_total a gauge: the names that are
	 * known, and the only two that a linter objects to. */
	if (clean && metric == METRIC_TOKENS)
		return "nexus_request_tokens";
	if (clean && metric == METRIC_BACKENDS)
		return "nexus_backends_registered";
	return rows[metric].name;
}

bool metric_has_exemplars(enum metric metric)
{
	return metric == METRIC_REQUEST_DURATION || metric == METRIC_TIME_TO_FIRST_TOKEN;
}

static const struct {
	const char *name;
	bool is_nano;
} units[] = {
#define X(id, name, nano) [UNIT_##id] = {name, nano},
	METRIC_UNITS(X)
#undef X
};

const char *metric_unit_name(enum metric_unit unit)
{
	return units[unit].name;
}

bool metric_unit_is_nano(enum metric_unit unit)
{
	return units[unit].is_nano;
}

static const struct {
	enum metric_unit unit;
	const char *bounds;
} bucket_sets[N_SOURCES] = {
#define BUCKETS(id, unit, bounds) [SOURCE_##id] = {UNIT_##unit, bounds},
#include "metrics/buckets.def"
#undef BUCKETS
};

/* The texts of buckets.def: digits, perhaps with decimals. */
static uint64_t nano_of(struct str text)
{
	uint64_t nano = 0;
	unsigned n_decimals = 0;
	bool is_fraction = false;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '.') {
			is_fraction = true;
			continue;
		}
		nano = 10 * nano + (uint64_t)(text.p[i] - '0');
		n_decimals += is_fraction;
	}
	for (; n_decimals < 9; n_decimals++)
		nano *= 10;
	return nano;
}

size_t catalog_bounds(enum metric_source source, uint64_t nano[static CATALOG_MAX_BOUNDS])
{
	struct str rest = str_of(bucket_sets[source].bounds);
	size_t n = 0;

	while (rest.p && n < CATALOG_MAX_BOUNDS)
		nano[n++] = nano_of(str_split(&rest, ' '));
	return n;
}

enum metric_unit catalog_bounds_unit(enum metric_source source)
{
	return bucket_sets[source].unit;
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
	if (has_buckets && bucket_sets[row->source].unit != row->unit)
		return false;
	return (row->kind != KIND_COUNTER || ends_in(row->name, "_total")) &&
	       (row->kind != KIND_INFO || ends_in(row->name, "_info"));
}

/* What a kind of metric adds to its family's name for its samples. */
static const struct {
	const char *cut; /* of the name as scraped, to get the family's in OpenMetrics */
	const char *added[4];
} suffixes[] = {
	[KIND_COUNTER] = {"_total", {"_total", "_created"}},
	[KIND_GAUGE] = {"", {NULL}},
	[KIND_HISTOGRAM] = {"", {"_bucket", "_sum", "_count", "_created"}},
	[KIND_INFO] = {"_info", {"_info"}},
};

struct str metric_family_name(enum metric metric, bool clean)
{
	struct str name = str_of(metric_name(metric, clean));

	name.n -= strlen(suffixes[rows[metric].kind].cut);
	return name;
}

bool metric_has_name(enum metric metric, bool clean, struct str name)
{
	struct str family = metric_family_name(metric, clean);
	const char *const *added = suffixes[rows[metric].kind].added;
	struct str rest;

	if (!str_has_prefix(name, family))
		return false;
	rest = (struct str){name.p + family.n, name.n - family.n};
	for (size_t i = 0; i < ARRAY_SIZE(suffixes[0].added) && added[i]; i++)
		if (str_eq(rest, str_of(added[i])))
			return true;
	return rest.n == 0;
}

enum { MAX_NAMES = 5, NAME_BYTES = 96 };

/* Every name under which a family can turn up: as a family and as samples, in either format. */
static size_t derived_names(enum metric metric, bool clean, char names[][NAME_BYTES])
{
	struct str family = metric_family_name(metric, clean);
	const char *const *added = suffixes[rows[metric].kind].added;
	size_t n = 0;

	snprintf(names[n++], NAME_BYTES, "%.*s", (int)family.n, family.p);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes[0].added) && added[i]; i++)
		snprintf(names[n++], NAME_BYTES, "%.*s%s", (int)family.n, family.p, added[i]);
	return n;
}

static bool names_are_sound(bool clean)
{
	char names[N_METRICS * MAX_NAMES][NAME_BYTES];
	size_t n = 0;

	for (size_t i = 0; i < N_METRICS; i++)
		n += derived_names((enum metric)i, clean, names + n);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(names[i], names[j]) == 0)
				return false;
	return true;
}

bool catalog_is_sound(void)
{
	for (size_t i = 0; i < N_METRICS; i++)
		if (!row_is_sound(&rows[i]))
			return false;
	return names_are_sound(false) && names_are_sound(true);
}
