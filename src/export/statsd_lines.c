/* SPDX-License-Identifier: Apache-2.0 */
#include "export/statsd_lines.h"

#include <errno.h>
#include <stdio.h>

#include "base/glob.h"
#include "export/decimal.h"
#include "export/statsd_dialect.h"

enum { SUFFIX_BYTES = 40, LINE_MAX_BYTES = 4096 };

struct writer {
	const struct statsd_lines_inputs *inputs;
	struct statsd_packets *packets;
	struct statsd_format format;
	struct buf line;
	int error; /* the first one */
	/* of the sample being written */
	struct str labels;
	struct statsd_name name;
	bool has_name; /* made for the first line: most samples have none */
	/* of the family being written */
	bool is_wanted;
	const struct metric_row *row;
	const struct histogram *histogram;
	uint64_t divisor;
	char family[STATSD_FAMILY_BYTES];
	char bucket_suffixes[HISTOGRAM_MAX_BUCKETS][SUFFIX_BYTES];
};

static bool matches_any(const char *name, char *const *patterns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (glob_matches(str_of(patterns[i]), str_of(name)))
			return true;
	return false;
}

static bool is_wanted(const struct config *config, const char *name)
{
	return (config->statsd.n_allow == 0 ||
		matches_any(name, config->statsd.allow, config->statsd.n_allow)) &&
	       !matches_any(name, config->statsd.deny, config->statsd.n_deny);
}

/* A bound as part of a name: 0.5 milliseconds are 0_5. */
static void name_buckets(struct writer *w)
{
	size_t n = w->histogram->n_bounds;

	for (size_t i = 0; i < n; i++) {
		char *text = w->bucket_suffixes[i];
		uint64_t bound = w->histogram->bounds[i], rest = bound % w->divisor;
		uint64_t unit = w->divisor;
		int at = snprintf(text, SUFFIX_BYTES, ".bucket_%llu%s",
				  (unsigned long long)(bound / w->divisor), rest ? "_" : "");

		for (; rest; rest %= unit) {
			unit /= 10;
			text[at++] = (char)('0' + rest / unit);
			text[at] = '\0';
		}
	}
	snprintf(w->bucket_suffixes[n], SUFFIX_BYTES, ".bucket_inf");
}

static void begin_family(void *context, enum metric metric)
{
	struct writer *w = context;
	const char *name = registry_name(w->inputs->registry, metric);

	w->row = metric_row(metric);
	w->is_wanted = w->row->kind != KIND_INFO && is_wanted(w->inputs->config, name);
	if (!w->is_wanted)
		return;
	w->divisor = statsd_divisor(w->row->unit);
	statsd_family(w->family, name, w->row->unit);
	w->histogram = registry_histogram(w->inputs->registry, metric);
	if (w->histogram)
		name_buckets(w);
}

static int make_name(struct writer *w)
{
	int r = 0;

	if (!w->has_name)
		r = statsd_name_make(&w->name, &w->format, str_of(w->family), w->labels);
	w->has_name = r == 0;
	return r;
}

static void write_line(struct writer *w, const char *suffix, const struct statsd_value *value,
		       uint64_t place, uint64_t amount)
{
	int r = make_name(w);

	buf_clear(&w->line);
	if (r == 0)
		r = statsd_dialect_write(&w->line, &w->format, &w->name, str_of(suffix), value);
	if (r == 0)
		r = statsd_packets_append(w->packets, buf_str(&w->line), place, amount);
	if (w->error == 0)
		w->error = r;
}

static void write_gauge(struct writer *w, const char *suffix, int64_t value)
{
	if (!w->inputs->is_leaving)
		write_line(w, suffix, &(struct statsd_value){STATSD_GAUGE, value, w->divisor, 1}, 0,
			   0);
}

/* Whole units of what is not sent yet, the rest waits for a later push. */
static void write_counter(struct writer *w, const char *suffix, uint64_t total, uint64_t place,
			  uint64_t divisor)
{
	uint64_t added = statsd_ledger_unsent(w->inputs->ledger, place, total) / divisor;
	struct statsd_value value = {STATSD_COUNTER, 0, 1, 1};

	if (added > STATSD_MAX_DELTA)
		added = STATSD_MAX_DELTA;
	value.amount = (int64_t)(w->format.dialect->has_totals ? total / divisor : added);
	if (value.amount != 0)
		write_line(w, suffix, &value, place, added * divisor);
}

/* A bucket's observations stand for its middle, those above all bounds for the last bound. */
static void write_distribution(struct writer *w, size_t bucket, uint64_t added, uint64_t place)
{
	const uint64_t *bounds = w->histogram->bounds;
	size_t n = w->histogram->n_bounds;
	uint64_t low = bucket > 0 ? bounds[bucket - 1] : 0,
		 high = bucket < n ? bounds[bucket] : low;
	struct statsd_value value = {STATSD_DISTRIBUTION, (int64_t)(low + (high - low) / 2),
				     w->divisor, added};

	if (value.times > STATSD_MAX_DELTA)
		value.times = STATSD_MAX_DELTA;
	if (added > 0)
		write_line(w, "", &value, place, value.times);
}

static void write_quantiles(struct writer *w, const uint64_t *fresh)
{
	static const struct {
		const char *suffix;
		unsigned permille;
	} quantiles[] = {{".p50", 500}, {".p95", 950}, {".p99", 990}};

	for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
		write_gauge(
			w, quantiles[i].suffix,
			(int64_t)histogram_quantile(w->histogram, fresh, quantiles[i].permille));
}

static void write_histogram(struct writer *w, const struct sample *sample, uint64_t place)
{
	uint64_t fresh[HISTOGRAM_MAX_BUCKETS], n_fresh = 0;

	write_counter(w, ".count", sample->count, place, 1);
	write_counter(w, ".sum", sample->sum, place + SLAB_SUM, w->divisor);
	for (size_t i = 0; i < sample->n_buckets; i++) {
		uint64_t at = place + SLAB_BUCKETS + i;

		fresh[i] = statsd_ledger_unsent(w->inputs->ledger, at, sample->buckets[i]);
		n_fresh += fresh[i];
		if (w->format.dialect->has_distributions)
			write_distribution(w, i, fresh[i], at);
		else
			write_counter(w, w->bucket_suffixes[i], sample->buckets[i], at, 1);
	}
	if (n_fresh > 0)
		write_quantiles(w, fresh);
}

static void write_sample(void *context, const struct sample *sample)
{
	struct writer *w = context;
	uint64_t place = 0;
	int r = 0;

	if (!w->is_wanted || (w->inputs->is_leaving && w->format.dialect->has_totals))
		return;
	if (w->row->kind != KIND_GAUGE)
		r = statsd_ledger_place(w->inputs->ledger, sample, &place);
	w->labels = sample->labels;
	w->has_name = false;
	if (r < 0) {
		if (r != -ENOENT && w->error == 0)
			w->error = r;
		return;
	}
	if (w->row->kind == KIND_GAUGE)
		write_gauge(w, "", sample->value);
	else if (w->row->kind == KIND_COUNTER)
		write_counter(w, "", (uint64_t)sample->value, place, w->divisor);
	else
		write_histogram(w, sample, place);
}

int statsd_lines_append(const struct statsd_lines_inputs *inputs, struct statsd_packets *packets)
{
	const struct config *config = inputs->config;
	struct writer w = {
		.inputs = inputs,
		.packets = packets,
		.format =
			{
				.dialect = statsd_dialect(config->statsd.dialect),
				.prefix = str_of(config->statsd.prefix),
				.tags = config->statsd.tags,
				.n_tags = config->statsd.n_tags,
				.time_sec = inputs->time_sec,
			},
	};
	int r;

	statsd_name_init(&w.name);
	buf_init(&w.line, LINE_MAX_BYTES);
	/* What an earlier process counted, that one pushed; only totals take it in. */
	r = snapshot_visit(inputs->registry,
			   &(struct snapshot_visitor){.family = begin_family,
						      .sample = write_sample,
						      .context = &w,
						      .merged = true,
						      .own = !w.format.dialect->has_totals});
	statsd_name_done(&w.name);
	buf_done(&w.line);
	return r < 0 ? r : w.error;
}
