/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus text format 0.0.4 and OpenMetrics 1.0 (the specification's "Text format"). Only the
 * lines that begin with # differ, and what OpenMetrics alone can have: exemplars and _created.
 */
#include "export/openmetrics.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "export/decimal.h"
#include "metrics/snapshot.h"

/* What a sample line has beside its name and its labels: _bucket{,le=""} , a bound, a value. */
enum { LE_BYTES = 16 + DECIMAL_MAX, LINE_BYTES = 16 + LE_BYTES + DECIMAL_MAX };

/* An exemplar: " # {trace_id=""} ", 32 digits, two numbers and a blank between them. */
enum { EXEMPLAR_BYTES = 64 + 2 * DECIMAL_MAX };

struct openmetrics {
	struct registry *registry;
	enum exposition format;
	bool with_created;
	bool only[N_METRICS];
	struct snapshot snapshot;
	uint64_t spent_ns;
	int error;
	struct buf *out; /* of the piece being made */
	/* of the family being rendered */
	const struct metric_row *row;
	struct str name, family;              /* as scraped, and as OpenMetrics calls it */
	struct str le[HISTOGRAM_MAX_BUCKETS]; /* le="0.1"} and a blank */
	char le_text[HISTOGRAM_MAX_BUCKETS][LE_BYTES];
};

const char *openmetrics_content_type(enum exposition format)
{
	return format == EXPOSITION_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}

static char *put(char *p, struct str text)
{
	memcpy(p, text.p, text.n);
	return p + text.n;
}

static bool ends_in(struct str name, struct str suffix)
{
	return name.n > suffix.n &&
	       str_eq((struct str){name.p + name.n - suffix.n, suffix.n}, suffix);
}

static const char *kind_name(enum metric_kind kind, enum exposition format)
{
	static const char *const names[] = {
		[KIND_COUNTER] = "counter",
		[KIND_GAUGE] = "gauge",
		[KIND_HISTOGRAM] = "histogram",
		[KIND_INFO] = "info",
	};

	return names[kind == KIND_INFO && format == EXPOSITION_CLASSIC ? KIND_GAUGE : kind];
}

/* "# WORD name " */
static int begin_metadata(struct openmetrics *r, struct str word, struct str name)
{
	int error = buf_append_str(r->out, STR_LITERAL("# "));

	if (error == 0)
		error = buf_append_str(r->out, word);
	if (error == 0)
		error = buf_append_str(r->out, STR_LITERAL(" "));
	if (error == 0)
		error = buf_append_str(r->out, name);
	return error < 0 ? error : buf_append_str(r->out, STR_LITERAL(" "));
}

static int write_metadatum(struct openmetrics *r, struct str word, struct str name,
			   struct str value)
{
	int error = begin_metadata(r, word, name);

	if (error == 0)
		error = buf_append_str(r->out, value);
	return error < 0 ? error : buf_append_str(r->out, STR_LITERAL("\n"));
}

static int write_help(struct openmetrics *r, struct str name)
{
	const char *special = r->format == EXPOSITION_OPENMETRICS ? "\n\\\"" : "\n\\";
	int error = begin_metadata(r, STR_LITERAL("HELP"), name);

	for (const char *p = r->row->help; error == 0; p++) {
		size_t n = strcspn(p, special);

		error = buf_append(r->out, p, n);
		p += n;
		if (!*p)
			break;
		if (error == 0)
			error = buf_append(r->out, (char[]){'\\', *p == '\n' ? 'n' : *p}, 2);
	}
	return error < 0 ? error : buf_append_str(r->out, STR_LITERAL("\n"));
}

static int write_type(struct openmetrics *r, struct str name)
{
	return write_metadatum(r, STR_LITERAL("TYPE"), name,
			       str_of(kind_name(r->row->kind, r->format)));
}

static int write_metadata(struct openmetrics *r)
{
	struct str name = r->format == EXPOSITION_OPENMETRICS ? r->family : r->name;
	struct str unit = str_of(metric_unit_name(r->row->unit));
	int error;

	if (r->format == EXPOSITION_CLASSIC) {
		error = write_help(r, name);
		return error < 0 ? error : write_type(r, name);
	}
	error = write_type(r, name);
	if (error == 0 && unit.n && ends_in(name, unit))
		error = write_metadatum(r, STR_LITERAL("UNIT"), name, str_of(unit.p + 1));
	return error < 0 ? error : write_help(r, name);
}

/* A bound is printed as a float in both formats: OpenMetrics wants it so. */
static char *put_bound(char *p, enum metric_unit unit, uint64_t bound)
{
	if (metric_unit_is_nano(unit))
		return decimal_nano(p, bound);
	return put(decimal_u64(p, bound), STR_LITERAL(".0"));
}

static void prepare_bounds(struct openmetrics *r, const struct histogram *histogram)
{
	size_t n = histogram->n_bounds;

	for (size_t i = 0; i <= n; i++) {
		char *p = put(r->le_text[i], STR_LITERAL("le=\""));

		p = i < n ? put_bound(p, r->row->unit, histogram->bounds[i])
			  : put(p, STR_LITERAL("+Inf"));
		p = put(p, STR_LITERAL("\"} "));
		r->le[i] = (struct str){r->le_text[i], (size_t)(p - r->le_text[i])};
	}
}

static void begin_family(void *context, enum metric metric)
{
	struct openmetrics *r = context;

	r->row = metric_row(metric);
	r->name = str_of(registry_name(r->registry, metric));
	r->family = registry_family_name(r->registry, metric);
	if (r->row->kind == KIND_HISTOGRAM)
		prepare_bounds(r, registry_histogram(r->registry, metric));
	if (r->error == 0)
		r->error = write_metadata(r);
}

/* Of a sample that has no other label. */
static char *put_labels(char *p, struct str labels)
{
	if (labels.n) {
		*p++ = '{';
		p = put(p, labels);
		*p++ = '}';
	}
	*p++ = ' ';
	return p;
}

static char *put_head(char *p, const struct openmetrics *r, struct str suffix, struct str labels)
{
	return put_labels(put(put(p, r->name), suffix), labels);
}

static char *put_value(char *p, enum metric_unit unit, int64_t value)
{
	if (!metric_unit_is_nano(unit))
		return decimal_i64(p, value);
	if (value < 0)
		*p++ = '-';
	return decimal_nano(p, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static char *put_hex(char *p, uint64_t value)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[value >> shift & 15];
	return p;
}

static char *put_msec(char *p, uint64_t msec)
{
	return decimal_nano(p, msec * NS_PER_MSEC);
}

static char *put_exemplar(char *p, const struct openmetrics *r, const struct sample *sample,
			  size_t i)
{
	const struct exemplar *exemplar = &sample->exemplars[i];

	if (exemplar->unix_msec == 0)
		return p;
	p = put(p, STR_LITERAL(" # {trace_id=\""));
	p = put_hex(put_hex(p, exemplar->trace.high), exemplar->trace.low);
	p = put(p, STR_LITERAL("\"} "));
	p = put_value(p, r->row->unit, (int64_t)exemplar->value);
	*p++ = ' ';
	return put_msec(p, exemplar->unix_msec);
}

static char *put_created(char *p, const struct openmetrics *r, const struct sample *sample)
{
	*p++ = '\n';
	p = put(p, r->family);
	p = put_labels(put(p, STR_LITERAL("_created")), sample->labels);
	return put_msec(p, sample->series->born_msec);
}

static char *put_histogram(char *p, const struct openmetrics *r, const struct sample *sample)
{
	struct str head = {p, 0};
	bool with_exemplars = sample->exemplars && r->format == EXPOSITION_OPENMETRICS;
	uint64_t below = sample->buckets[0];

	/* The lines of a label set begin alike: the first one serves as the others' pattern. */
	p = put(p, r->name);
	p = put(p, STR_LITERAL("_bucket{"));
	if (sample->labels.n) {
		p = put(p, sample->labels);
		*p++ = ',';
	}
	head.n = (size_t)(p - head.p);
	p = decimal_u64(put(p, r->le[0]), below);
	if (with_exemplars)
		p = put_exemplar(p, r, sample, 0);
	for (size_t i = 1; i < sample->n_buckets; i++) {
		below += sample->buckets[i];
		*p++ = '\n';
		p = decimal_u64(put(put(p, head), r->le[i]), below);
		if (with_exemplars)
			p = put_exemplar(p, r, sample, i);
	}
	*p++ = '\n';
	p = put_head(p, r, STR_LITERAL("_sum"), sample->labels);
	p = metric_unit_is_nano(r->row->unit) ? decimal_nano(p, sample->sum)
					      : decimal_u64(p, sample->sum);
	*p++ = '\n';
	p = put_head(p, r, STR_LITERAL("_count"), sample->labels);
	return decimal_u64(p, sample->count);
}

static void render_sample(void *context, const struct sample *sample)
{
	struct openmetrics *r = context;
	size_t line_bytes = r->name.n + sample->labels.n + LINE_BYTES +
			    (sample->exemplars ? EXEMPLAR_BYTES : 0);
	bool is_gauge = r->row->kind == KIND_GAUGE || r->row->kind == KIND_INFO;
	char *begin = NULL, *p;

	if (r->error == 0)
		r->error = buf_reserve(r->out, line_bytes * (sample->n_buckets + 3), &begin);
	if (r->error != 0)
		return;
	if (sample->n_buckets)
		p = put_histogram(begin, r, sample);
	else
		p = put_value(put_head(begin, r, STR_LITERAL(""), sample->labels), r->row->unit,
			      sample->value);
	if (r->with_created && sample->series && !is_gauge)
		p = put_created(p, r, sample);
	*p++ = '\n';
	buf_commit(r->out, (size_t)(p - begin));
}

struct openmetrics *openmetrics_new(struct registry *registry,
				    const struct openmetrics_options *options)
{
	struct openmetrics *r = calloc(1, sizeof(*r));
	uint64_t began_ns = clock_monotonic_ns();
	struct snapshot_visitor visitor = {
		.family = begin_family,
		.sample = render_sample,
		.context = r,
		.merged = true,
	};

	if (!r)
		return NULL;
	r->registry = registry;
	r->format = options->format;
	r->with_created =
		options->format == EXPOSITION_OPENMETRICS && registry_shows_created(registry);
	if (options->only) {
		memcpy(r->only, options->only, sizeof(r->only));
		visitor.only = r->only;
	}
	if (snapshot_begin(&r->snapshot, registry, &visitor) < 0)
		return openmetrics_free(r);
	r->spent_ns = clock_monotonic_ns() - began_ns;
	return r;
}

struct openmetrics *openmetrics_free(struct openmetrics *r)
{
	if (r)
		snapshot_end(&r->snapshot);
	free(r);
	return NULL;
}

int openmetrics_next(struct openmetrics *r, struct buf *out, size_t piece_bytes)
{
	uint64_t began_ns = clock_monotonic_ns();
	size_t len = out->len;
	bool more = true;

	r->out = out;
	while (more && r->error == 0 && out->len - len < piece_bytes)
		more = snapshot_step(&r->snapshot);
	if (!more && r->error == 0 && r->format == EXPOSITION_OPENMETRICS)
		r->error = buf_append_str(out, STR_LITERAL("# EOF\n"));
	r->spent_ns += clock_monotonic_ns() - began_ns;
	if (!more)
		registry_set_render_ns(r->registry, r->spent_ns);
	return r->error < 0 ? r->error : more;
}

int openmetrics_render(struct registry *registry, const struct openmetrics_options *options,
		       struct buf *out)
{
	struct openmetrics *r = openmetrics_new(registry, options);
	int error = r ? openmetrics_next(r, out, SIZE_MAX) : -ENOMEM;

	openmetrics_free(r);
	return error;
}
