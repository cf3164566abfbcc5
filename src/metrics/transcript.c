/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A piece is a row of records:
 *   text family, number born_msec, number n_labels, n_labels times (text label, text value),
 *   number n_buckets; of a counter 0, and number amount; of a histogram
 *   n_buckets - 1 numbers bounds, n_buckets numbers counts, number sum.
 * A number has eight bytes in the machine's order, a text is the number of its bytes and these.
 */
#include "metrics/transcript.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "metrics/registry_state.h"
#include "metrics/snapshot.h"

enum { RECORD_MAX_BYTES = 8192 };

void transcript_init(struct transcript *transcript, struct registry *registry,
		     int (*send)(void *context, struct str piece), void *context)
{
	*transcript = (struct transcript){.registry = registry, .send = send, .context = context};
	buf_init(&transcript->piece, TRANSCRIPT_MAX_BYTES);
	buf_init(&transcript->record, RECORD_MAX_BYTES);
}

void transcript_done(struct transcript *transcript)
{
	free(transcript->told);
	buf_done(&transcript->piece);
	buf_done(&transcript->record);
}

struct writer {
	struct transcript *transcript;
	int record_error; /* the first one */
	int error;        /* the last one of all records */
	bool is_broken;   /* nobody takes pieces any more */
};

static void put_number(struct writer *w, uint64_t number)
{
	if (w->record_error == 0)
		w->record_error = buf_append(&w->transcript->record, &number, sizeof(number));
}

static void put_text(struct writer *w, struct str text)
{
	put_number(w, text.n);
	if (w->record_error == 0)
		w->record_error = buf_append_str(&w->transcript->record, text);
}

/* As many as the registry has cells: its budget is the ceiling. NULL for no memory. */
static uint64_t *told_of(struct transcript *transcript, const struct sample *sample)
{
	size_t n = transcript->n_told ? transcript->n_told : SLAB_CHUNK_CELLS;
	uint64_t *told;

	while (n < sample->series->cell + SLAB_BUCKETS + sample->n_buckets)
		n *= 2;
	if (n > transcript->n_told) {
		told = reallocarray(transcript->told, n, sizeof(*told));
		if (!told)
			return NULL;
		memset(told + transcript->n_told, 0, (n - transcript->n_told) * sizeof(*told));
		transcript->told = told;
		transcript->n_told = n;
	}
	return transcript->told + sample->series->cell;
}

static void put_head(struct writer *w, const struct sample *sample)
{
	const struct metric_row *row = metric_row(sample->metric);

	buf_clear(&w->transcript->record);
	w->record_error = 0;
	put_text(w, str_of(row->name));
	put_number(w, sample->series->born_msec);
	put_number(w, row->n_labels);
	for (size_t i = 0; i < row->n_labels; i++) {
		put_text(w, str_of(row->labels[i]));
		put_text(w, sample->values[i]);
	}
	put_number(w, sample->n_buckets);
}

static void put_counts(struct writer *w, const struct sample *sample, const uint64_t *told)
{
	if (sample->n_buckets == 0) {
		put_number(w, (uint64_t)sample->value - told[0]);
		return;
	}
	for (size_t i = 0; i + 1 < sample->n_buckets; i++)
		put_number(w, sample->series->histogram->bounds[i]);
	for (size_t i = 0; i < sample->n_buckets; i++)
		put_number(w, sample->buckets[i] - told[SLAB_BUCKETS + i]);
	put_number(w, sample->sum - told[SLAB_SUM]);
}

/* A histogram's count stands where its sequence does. */
static void take_as_told(const struct sample *sample, uint64_t *told)
{
	told[0] = sample->n_buckets ? sample->count : (uint64_t)sample->value;
	if (sample->n_buckets == 0)
		return;
	told[SLAB_SUM] = sample->sum;
	memcpy(told + SLAB_BUCKETS, sample->buckets, sample->n_buckets * sizeof(*told));
}

static int send_piece(struct writer *w)
{
	struct transcript *transcript = w->transcript;
	int r = 0;

	if (transcript->piece.len > 0 && !w->is_broken)
		r = transcript->send(transcript->context, buf_str(&transcript->piece));
	buf_clear(&transcript->piece);
	w->is_broken |= r < 0;
	return r;
}

static int write_record(struct writer *w, const struct sample *sample, uint64_t *told)
{
	struct transcript *transcript = w->transcript;
	int r;

	put_head(w, sample);
	put_counts(w, sample, told);
	r = w->record_error;
	if (r == 0 && transcript->piece.len + transcript->record.len > TRANSCRIPT_MAX_BYTES)
		r = send_piece(w);
	if (r == 0)
		r = buf_append_str(&transcript->piece, buf_str(&transcript->record));
	if (r == 0)
		take_as_told(sample, told);
	return r;
}

static void write_sample(void *context, const struct sample *sample)
{
	struct writer *w = context;
	uint64_t *told, now = sample->n_buckets ? sample->count : (uint64_t)sample->value;
	int r = 0;

	if (w->is_broken || !sample->series || metric_row(sample->metric)->kind == KIND_GAUGE)
		return;
	told = told_of(w->transcript, sample);
	if (!told)
		r = -ENOMEM;
	else if (!w->transcript->is_begun || told[0] != now)
		r = write_record(w, sample, told);
	if (r < 0)
		w->error = r;
}

int transcript_send(struct transcript *transcript)
{
	struct writer w = {.transcript = transcript};
	int r = snapshot_visit(transcript->registry,
			       &(struct snapshot_visitor){.sample = write_sample, .context = &w});

	if (r == 0)
		r = send_piece(&w);
	transcript->is_begun = true;
	return r < 0 ? r : w.error;
}

/* What is left of a piece; is_bad once it ended before it should. */
struct reader {
	struct str rest;
	bool is_bad;
};

static struct str take(struct reader *reader, uint64_t n)
{
	struct str bytes = {reader->rest.p, (size_t)n};

	if (n > reader->rest.n) {
		reader->is_bad = true;
		return (struct str){NULL, 0};
	}
	reader->rest.p += bytes.n;
	reader->rest.n -= bytes.n;
	return bytes;
}

static uint64_t take_number(struct reader *reader)
{
	uint64_t number = 0;
	struct str bytes = take(reader, sizeof(number));

	if (bytes.p)
		memcpy(&number, bytes.p, sizeof(number));
	return number;
}

static struct str take_text(struct reader *reader)
{
	return take(reader, take_number(reader));
}

/* N_METRICS for a family that is not counted here. */
static enum metric find_family(struct str name)
{
	size_t metric = 0;

	while (metric < N_METRICS && !str_eq(str_of(metric_row((enum metric)metric)->name), name))
		metric++;
	if (metric < N_METRICS && metric_row((enum metric)metric)->source == SOURCE_LIVE)
		return N_METRICS;
	return (enum metric)metric;
}

static void take_labels(struct reader *reader, enum metric metric, struct str *values)
{
	uint64_t n = take_number(reader);

	for (uint64_t i = 0; i < n && !reader->is_bad; i++) {
		struct str label = take_text(reader), value = take_text(reader);

		if (metric == N_METRICS)
			continue;
		for (size_t j = 0; j < metric_row(metric)->n_labels; j++)
			if (str_eq(str_of(metric_row(metric)->labels[j]), label))
				values[j] = value;
	}
}

/* An observation is at most as large as its bucket's bound: it goes where that bound would. */
static uint64_t take_buckets(struct reader *reader, uint64_t n_buckets,
			     const struct histogram *histogram, uint64_t *buckets)
{
	struct str bounds = take(reader, (n_buckets - 1) * sizeof(uint64_t));
	struct reader bound = {.rest = bounds};

	for (uint64_t i = 0; i < n_buckets && !reader->is_bad; i++) {
		uint64_t count = take_number(reader);
		size_t bucket = histogram ? histogram->n_bounds : 0;

		if (histogram && i + 1 < n_buckets)
			bucket = histogram_bucket(histogram, take_number(&bound));
		buckets[bucket] += count;
	}
	return take_number(reader);
}

static void make_older(struct registry *registry, enum metric metric, const struct str *values,
		       uint64_t born_msec)
{
	struct series_key key = series_key_of_values(registry->seed, metric, values);
	struct series *series = series_table_find(&registry->by_values, &key);

	/* Absent when it was counted as _other. */
	if (series && born_msec < atomic_load_explicit(&series->born_msec, memory_order_relaxed))
		atomic_store_explicit(&series->born_msec, born_msec, memory_order_relaxed);
}

static void absorb_record(struct registry *registry, struct slab *slab, struct reader *reader)
{
	enum metric metric = find_family(take_text(reader));
	const struct histogram *histogram =
		metric < N_METRICS ? registry_histogram(registry, metric) : NULL;
	struct str values[METRIC_MAX_LABELS] = {0};
	uint64_t buckets[HISTOGRAM_MAX_BUCKETS] = {0};
	uint64_t born_msec = take_number(reader), n_buckets, amount;
	const struct series *series;

	take_labels(reader, metric, values);
	n_buckets = take_number(reader);
	if (n_buckets > reader->rest.n)
		reader->is_bad = true;
	if (reader->is_bad)
		return;
	amount = n_buckets ? take_buckets(reader, n_buckets, histogram, buckets)
			   : take_number(reader);
	if (reader->is_bad || metric == N_METRICS || (n_buckets > 0) != (histogram != NULL) ||
	    metric_row(metric)->kind == KIND_GAUGE)
		return;
	series = registry_series(registry, metric, values);
	make_older(registry, metric, values, born_msec);
	if (histogram)
		slab_add_observations(slab, series, buckets, amount);
	else
		slab_add(slab, series, amount);
}

int transcript_absorb(struct registry *registry, struct slab *slab, struct str piece)
{
	struct reader reader = {.rest = piece};

	while (reader.rest.n > 0 && !reader.is_bad)
		absorb_record(registry, slab, &reader);
	return reader.is_bad ? -EINVAL : 0;
}
