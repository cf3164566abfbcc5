/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/openmetrics_check.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/map.h"
#include "tests/exposition_line.h"

enum { MAX_SUFFIXES = 4, MAX_KEY_BYTES = 1 << 20, MAX_EXEMPLAR_CHARACTERS = 128 };

enum role { PLAIN, TOTAL, CREATED, BUCKET, COUNT, SUM, QUANTILE, INFO, STATE };

/* What the value of a sample in this role may be. */
static const struct {
	bool may_be_nan, may_be_negative, is_whole, may_have_exemplar;
	double max;
} roles[] = {
	[PLAIN] = {true, true, false, false, HUGE_VAL},
	[TOTAL] = {false, false, false, true, HUGE_VAL},
	[CREATED] = {false, false, false, false, HUGE_VAL},
	[BUCKET] = {false, false, true, true, HUGE_VAL},
	[COUNT] = {false, false, true, false, HUGE_VAL},
	[SUM] = {false, true, false, false, HUGE_VAL},
	[QUANTILE] = {true, false, false, false, HUGE_VAL},
	[INFO] = {false, false, true, false, 1},
	[STATE] = {false, false, true, false, 1},
};

struct type {
	const char *name;
	size_t n_suffixes;
	struct {
		const char *text;
		enum role role;
	} suffixes[MAX_SUFFIXES];
};

static const struct type openmetrics_types[] = {
	{"unknown", 1, {{"", PLAIN}}},
	{"gauge", 1, {{"", PLAIN}}},
	{"counter", 2, {{"_total", TOTAL}, {"_created", CREATED}}},
	{"histogram",
	 4,
	 {{"_bucket", BUCKET}, {"_count", COUNT}, {"_sum", SUM}, {"_created", CREATED}}},
	{"gaugehistogram", 3, {{"_bucket", BUCKET}, {"_gcount", COUNT}, {"_gsum", SUM}}},
	{"summary", 4, {{"", QUANTILE}, {"_count", COUNT}, {"_sum", SUM}, {"_created", CREATED}}},
	{"info", 1, {{"_info", INFO}}},
	{"stateset", 1, {{"", STATE}}},
};

static const struct type classic_types[] = {
	{"untyped", 1, {{"", PLAIN}}},
	{"gauge", 1, {{"", PLAIN}}},
	{"counter", 1, {{"", TOTAL}}},
	{"histogram", 3, {{"_bucket", BUCKET}, {"_count", COUNT}, {"_sum", SUM}}},
	{"summary", 3, {{"", QUANTILE}, {"_count", COUNT}, {"_sum", SUM}}},
};

struct family {
	struct str name, unit;
	const struct type *type;
	bool has_type, has_help, has_unit, is_settled;
};

/* The samples of one label set at one time. */
struct point {
	double last_bound, last_bucket;
	bool has_bucket, has_infinity, has_negative_bound, has_sum, has_count;
	double sum, count;
};

struct check {
	enum exposition format;
	const struct type *types;
	size_t n_types;
	struct family family;
	struct map *names;   /* all that a family or a sample may no longer be called */
	struct map *groups;  /* the label sets of the family */
	struct map *samples; /* those of the group */
	struct buf group;    /* its labels, in order, as one text; empty before the first sample */
	bool has_group, group_has_timestamps;
	double timestamp;
	struct point point;
	const char *reason;
};

static bool fail(struct check *check, const char *reason)
{
	if (!check->reason)
		check->reason = reason;
	return false;
}

static bool require(struct check *check, bool condition, const char *reason)
{
	return condition || fail(check, reason);
}

static void must(int result)
{
	if (result < 0)
		abort();
}

static struct map *new_set(void)
{
	struct map *set = map_new();

	if (!set)
		abort();
	return set;
}

/* False when it was there. */
static bool add(struct map *set, struct str key)
{
	if (map_find(set, key))
		return false;
	must(map_set(set, key, set));
	return true;
}

static bool is_type(const struct check *check, const char *name)
{
	return strcmp(check->family.type->name, name) == 0;
}

static bool has_buckets(const struct check *check)
{
	return check->family.type->suffixes[0].role == BUCKET;
}

static void end_point(struct check *check)
{
	const struct point *point = &check->point;
	bool is_gauge = is_type(check, "gaugehistogram");

	if (!check->has_group || !has_buckets(check))
		return;
	require(check, point->has_infinity, "a histogram without its +Inf bucket");
	require(check, point->has_sum == point->has_count,
		"one of sum and count without the other");
	require(check, !point->has_count || point->count == point->last_bucket,
		"the count is not the +Inf bucket");
	require(check, is_gauge || !point->has_sum || !point->has_negative_bound,
		"a sum although there are negative bounds");
	require(check, !point->has_sum || point->sum >= 0 || point->has_negative_bound,
		"a negative sum without negative bounds");
}

static void end_group(struct check *check)
{
	end_point(check);
	check->has_group = false;
	buf_clear(&check->group);
}

static struct str sample_name(struct buf *out, const struct family *family, size_t suffix)
{
	buf_clear(out);
	must(buf_append_str(out, family->name));
	must(buf_append_str(out, str_of(family->type->suffixes[suffix].text)));
	return buf_str(out);
}

static bool unit_fits(const struct check *check)
{
	struct str name = check->family.name, unit = check->family.unit;

	if (unit.n == 0)
		return true;
	return !is_type(check, "info") && !is_type(check, "stateset") && name.n > unit.n + 1 &&
	       name.p[name.n - unit.n - 1] == '_' &&
	       str_eq((struct str){name.p + name.n - unit.n, unit.n}, unit);
}

/* No metadata can follow: its names are taken from now on. */
static void settle_family(struct check *check)
{
	struct family *family = &check->family;
	struct buf name;

	if (family->is_settled || family->name.n == 0)
		return;
	family->is_settled = true;
	buf_init(&name, MAX_KEY_BYTES);
	require(check, unit_fits(check), "the unit is not the end of the name");
	require(check, add(check->names, family->name), "the name is taken");
	for (size_t i = 0; i < family->type->n_suffixes; i++)
		if (family->type->suffixes[i].text[0])
			require(check, add(check->names, sample_name(&name, family, i)),
				"a sample's name is taken");
	buf_done(&name);
}

static void begin_family(struct check *check, struct str name)
{
	settle_family(check);
	end_group(check);
	check->groups = map_free(check->groups);
	check->groups = new_set();
	check->family = (struct family){.name = name, .type = &check->types[0]};
	require(check, !map_find(check->names, name), "the family was there before, or its name");
}

static const struct type *find_type(const struct check *check, struct str name)
{
	for (size_t i = 0; i < check->n_types; i++)
		if (str_eq(name, str_of(check->types[i].name)))
			return &check->types[i];
	return NULL;
}

/* # KEYWORD NAME TEXT */
static void judge_metadata(struct check *check, struct str line)
{
	struct str rest = {line.p + 2, line.n - 2};
	struct str keyword = str_split(&rest, ' ');
	struct str name = str_split(&rest, ' ');
	struct family *family = &check->family;
	bool *seen =
		str_eq(keyword, STR_LITERAL("TYPE"))   ? &family->has_type
		: str_eq(keyword, STR_LITERAL("HELP")) ? &family->has_help
		: str_eq(keyword, STR_LITERAL("UNIT")) && check->format == EXPOSITION_OPENMETRICS
			? &family->has_unit
			: NULL;

	if (!require(check, seen && rest.p && exposition_is_metric_name(name),
		     "not a line of metadata"))
		return;
	if (!str_eq(name, family->name))
		begin_family(check, name);
	require(check, !*seen, "the same metadata twice");
	require(check, !family->is_settled, "metadata after samples");
	*seen = true;
	if (seen == &family->has_unit)
		family->unit = rest;
	if (seen == &family->has_type)
		family->type = find_type(check, rest);
	if (!family->type) {
		family->type = &check->types[0];
		fail(check, "not a type");
	}
}

/* The suffix of the family's sample of this name; n_suffixes when it is not one. */
static size_t find_suffix(const struct family *family, struct str name)
{
	size_t i = 0;

	for (; i < family->type->n_suffixes; i++) {
		struct str suffix = str_of(family->type->suffixes[i].text);

		if (name.n == family->name.n + suffix.n && str_has_prefix(name, family->name) &&
		    str_eq((struct str){name.p + family->name.n, suffix.n}, suffix))
			break;
	}
	return family->name.n ? i : family->type->n_suffixes;
}

/* The label that tells the samples of one group apart; empty for most roles. */
static struct str own_label(const struct check *check, enum role role)
{
	switch (role) {
	case BUCKET:
		return STR_LITERAL("le");
	case QUANTILE:
		return STR_LITERAL("quantile");
	case STATE:
		return check->family.name;
	default:
		return STR_LITERAL("");
	}
}

static int compare_labels(const void *a, const void *b)
{
	const struct exposition_label *x = a, *y = b;
	size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
	int order = memcmp(x->name.p, y->name.p, n);

	return order ? order : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

/* Valid UTF-8 has no 0xff: two different sets never read the same. */
static void write_group(struct buf *out, const struct exposition_labels *labels, struct str without)
{
	struct exposition_labels sorted = *labels;

	qsort(sorted.items, sorted.n, sizeof(sorted.items[0]), compare_labels);
	for (size_t i = 0; i < sorted.n; i++)
		if (!str_eq(sorted.items[i].name, without)) {
			must(buf_append_str(out, sorted.items[i].name));
			must(buf_append(out, "\xff", 1));
			must(buf_append_str(out, sorted.items[i].value));
			must(buf_append(out, "\xff", 1));
		}
}

static void begin_samples(struct check *check)
{
	check->samples = map_free(check->samples);
	check->samples = new_set();
	check->point = (struct point){0};
}

static void begin_group(struct check *check, struct str group,
			const struct exposition_sample *sample)
{
	end_group(check);
	require(check, add(check->groups, group), "the samples of a label set are not together");
	must(buf_append_str(&check->group, group));
	check->has_group = true;
	check->group_has_timestamps = sample->has_timestamp;
	check->timestamp = sample->timestamp;
	begin_samples(check);
}

/* Moves on to the sample's label set, and to its time. */
static void enter_group(struct check *check, const struct exposition_sample *sample,
			struct str own_name)
{
	struct buf group;

	buf_init(&group, MAX_KEY_BYTES);
	write_group(&group, &sample->labels, own_name);
	if (!check->has_group || !str_eq(buf_str(&group), buf_str(&check->group)))
		begin_group(check, buf_str(&group), sample);
	buf_done(&group);
	require(check, sample->has_timestamp == check->group_has_timestamps,
		"timestamps for some samples of a label set only");
	require(check, !sample->has_timestamp || sample->timestamp >= check->timestamp,
		"timestamps run backwards");
	if (sample->timestamp > check->timestamp) {
		end_point(check);
		begin_samples(check);
		check->timestamp = sample->timestamp;
	}
}

static void see_bucket(struct check *check, struct str bound_text, double value)
{
	struct point *point = &check->point;
	double bound = HUGE_VAL;
	bool is_infinity = str_eq(bound_text, STR_LITERAL("+Inf"));

	require(check, is_infinity || exposition_real_parse(bound_text, &bound),
		"a bound that is no number");
	require(check, !point->has_bucket || bound > point->last_bound, "bounds do not ascend");
	require(check, value >= point->last_bucket, "buckets are not cumulative");
	point->has_bucket = true;
	point->has_infinity |= is_infinity;
	point->has_negative_bound |= bound < 0;
	point->last_bound = bound;
	point->last_bucket = value;
}

static void see_quantile(struct check *check, struct str text)
{
	double quantile = 0;

	require(check, exposition_real_parse(text, &quantile) && quantile >= 0 && quantile <= 1,
		"a quantile that is none");
}

static void judge_value(struct check *check, const struct exposition_sample *sample, enum role role)
{
	double value = sample->value;

	require(check, !isnan(value) || roles[role].may_be_nan, "NaN");
	require(check, !(value < 0) || roles[role].may_be_negative, "a negative value");
	require(check, !roles[role].is_whole || (value == floor(value) && !isinf(value)),
		"not a whole number");
	require(check, !(value > roles[role].max), "neither 0 nor 1");
	require(check, role != INFO || value == 1, "an info is 1");
	require(check,
		!sample->has_exemplar ||
			(roles[role].may_have_exemplar && check->format == EXPOSITION_OPENMETRICS),
		"an exemplar where none may be");
	require(check, sample->exemplar_characters <= MAX_EXEMPLAR_CHARACTERS,
		"an exemplar's labels are too long");
	if (role == COUNT) {
		check->point.has_count = true;
		check->point.count = value;
	}
	if (role == SUM) {
		check->point.has_sum = true;
		check->point.sum = value;
		require(check, value >= 0 || has_buckets(check), "a negative sum");
	}
}

static void see_once(struct check *check, const struct exposition_sample *sample, struct str own)
{
	struct buf key;

	if (sample->has_timestamp)
		return; /* several values at one time are several points */
	buf_init(&key, MAX_KEY_BYTES);
	must(buf_append_str(&key, sample->name));
	must(buf_append(&key, "\xff", 1));
	must(buf_append_str(&key, own));
	require(check, add(check->samples, buf_str(&key)), "the same sample twice");
	buf_done(&key);
}

static void judge_sample(struct check *check, struct str line)
{
	struct exposition_sample sample;
	const char *wrong = exposition_sample_parse(line, &sample);
	const struct exposition_label *own;
	struct str own_name;
	enum role role;
	size_t suffix;

	if (wrong) {
		fail(check, wrong);
		return;
	}
	suffix = find_suffix(&check->family, sample.name);
	if (suffix == check->family.type->n_suffixes) {
		begin_family(check, sample.name);
		suffix = 0;
	}
	settle_family(check);
	role = check->family.type->suffixes[suffix].role;
	own_name = own_label(check, role);
	own = exposition_label_find(&sample.labels, own_name);
	if (!require(check, own || own_name.n == 0, "without the label its type demands"))
		return;
	enter_group(check, &sample, own_name);
	judge_value(check, &sample, role);
	see_once(check, &sample, own ? own->value : STR_LITERAL(""));
	if (role == BUCKET)
		see_bucket(check, own->value, sample.value);
	if (role == QUANTILE)
		see_quantile(check, own->value);
}

static void judge_line(struct check *check, struct str line)
{
	if (str_has_prefix(line, STR_LITERAL("# ")))
		judge_metadata(check, line);
	else
		judge_sample(check, line);
}

/* All lines but # EOF; returns the last one's number. */
static size_t judge_lines(struct check *check, struct str text)
{
	bool is_openmetrics = check->format == EXPOSITION_OPENMETRICS;
	struct str rest = text;
	size_t line = 0;
	bool is_ended = false;

	while (rest.n && !check->reason) {
		struct str one = str_split(&rest, '\n');

		line++;
		if (is_openmetrics && str_eq(one, STR_LITERAL("# EOF"))) {
			require(check, rest.n == 0, "something behind # EOF");
			is_ended = true;
			break;
		}
		require(check, rest.p != NULL, "no line feed at the end");
		judge_line(check, one);
	}
	require(check, is_ended || !is_openmetrics, "no # EOF");
	return line;
}

struct openmetrics_violation openmetrics_check(struct str text, enum exposition format)
{
	bool is_openmetrics = format == EXPOSITION_OPENMETRICS;
	struct check check = {
		.format = format,
		.types = is_openmetrics ? openmetrics_types : classic_types,
		.n_types =
			is_openmetrics ? ARRAY_SIZE(openmetrics_types) : ARRAY_SIZE(classic_types),
		.names = new_set(),
		.groups = new_set(),
		.samples = new_set(),
	};
	size_t line;

	check.family.type = &check.types[0];
	buf_init(&check.group, MAX_KEY_BYTES);
	require(&check, utf8_is_valid(text), "not UTF-8");
	line = judge_lines(&check, text);
	settle_family(&check);
	end_group(&check);
	map_free(check.names);
	map_free(check.groups);
	map_free(check.samples);
	buf_done(&check.group);
	return (struct openmetrics_violation){check.reason ? line + !line : 0, check.reason};
}
