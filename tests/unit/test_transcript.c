/* SPDX-License-Identifier: Apache-2.0 */
/* Counts that go from one registry into another. */
#include "metrics/transcript.h"

#include <errno.h>
#include <stdlib.h>

#include "metrics/snapshot.h"
#include "tests/tap.h"

#define S(text) STR_LITERAL(text)

enum { PIECES_MAX_BYTES = 64 << 20 };

/* Two processes, and what is under way between them. */
struct bed {
	struct registry *old, *new;
	struct slab *slab, *inherited;
	struct transcript transcript;
	struct buf sent; /* all pieces, one after the other: that is a piece, too */
	size_t n_pieces, largest;
	int error;
};

static int take_piece(void *context, struct str piece)
{
	struct bed *bed = context;

	if (bed->error)
		return bed->error;
	bed->n_pieces++;
	if (piece.n > bed->largest)
		bed->largest = piece.n;
	return buf_append_str(&bed->sent, piece);
}

static struct registry_options options_with(struct registry_bounds bounds)
{
	return (struct registry_options){.max_series = 50000,
					 .max_series_per_family = 20000,
					 .bounds = {[SOURCE_DURATION] = bounds}};
}

static void set_up(struct bed *bed, struct registry_bounds old, struct registry_bounds new)
{
	struct registry_options old_options = options_with(old), new_options = options_with(new);

	*bed = (struct bed){.old = registry_new(&old_options), .new = registry_new(&new_options)};
	if (!bed->old || !bed->new)
		abort();
	bed->slab = registry_slab_new(bed->old);
	bed->inherited = registry_inherited_slab(bed->new);
	if (!bed->slab || !bed->inherited)
		abort();
	buf_init(&bed->sent, PIECES_MAX_BYTES);
	transcript_init(&bed->transcript, bed->old, take_piece, bed);
}

static void tear_down(struct bed *bed)
{
	transcript_done(&bed->transcript);
	buf_done(&bed->sent);
	registry_free(bed->old);
	registry_free(bed->new);
}

static void pass_on(struct bed *bed)
{
	buf_clear(&bed->sent);
	is_int(transcript_send(&bed->transcript), 0, "sent");
	is_int(transcript_absorb(bed->new, bed->inherited, buf_str(&bed->sent)), 0, "absorbed");
}

struct question {
	enum metric metric;
	int64_t value;
	uint64_t count, sum, born_msec, buckets[HISTOGRAM_MAX_BUCKETS];
	size_t n;
};

static void on_sample(void *context, const struct sample *sample)
{
	struct question *question = context;

	if (sample->metric != question->metric)
		return;
	question->n++;
	question->value += sample->value;
	question->count += sample->count;
	question->sum += sample->sum;
	if (sample->series)
		question->born_msec = sample->series->born_msec;
	for (size_t i = 0; i < sample->n_buckets; i++)
		question->buckets[i] += sample->buckets[i];
}

static struct question ask(struct registry *registry, enum metric metric, bool own)
{
	struct question question = {.metric = metric};

	if (snapshot_visit(registry, &(struct snapshot_visitor){.sample = on_sample,
								.context = &question,
								.own = own}) < 0)
		abort();
	return question;
}

static void test_counters(void)
{
	struct str values[] = {S("a \"model\"\n\xff"), S("b"), S("200")};
	const struct series *series;
	struct question old, new;
	struct bed bed;

	set_up(&bed, (struct registry_bounds){0}, (struct registry_bounds){0});
	series = registry_series(bed.old, METRIC_REQUESTS, values);
	slab_add(bed.slab, series, 5);
	(void)registry_series(bed.old, METRIC_ERRORS, (struct str[]){S("timeout"), S("m")});
	pass_on(&bed);
	old = ask(bed.old, METRIC_REQUESTS, false);
	new = ask(bed.new, METRIC_REQUESTS, false);
	is_int(new.value, 5, "a counter is passed on");
	ok(new.born_msec <= old.born_msec, "as old as it is");
	is_int(ask(bed.new, METRIC_REQUESTS, true).value, 0, "and can be left out");
	is_u64(ask(bed.new, METRIC_ERRORS, false).n, 1, "a series that stands at 0, too");
	slab_add(bed.slab, series, 2);
	pass_on(&bed);
	is_int(ask(bed.new, METRIC_REQUESTS, false).value, 7, "then what was added");
	is_u64(bed.sent.len < 400, true, "and nothing else");
	pass_on(&bed);
	is_u64(bed.sent.len, 0, "nothing when nothing was");
	ok(registry_series(bed.new, METRIC_REQUESTS, values)->values[0].n == values[0].n,
	   "real values are passed on, not their texts");
	tear_down(&bed);
}

static void test_histogram(void)
{
	static const uint64_t old_bounds[] = {1000000000, 2000000000, 3000000000};
	static const uint64_t new_bounds[] = {500000000, 2000000000};
	static const struct registry_bounds same = {old_bounds, 3}, other = {new_bounds, 2};
	struct str values[] = {S("m"), S("b")};

	for (int i = 0; i < 2; i++) {
		const struct series *series;
		struct question question;
		struct bed bed;

		set_up(&bed, same, i ? other : same);
		series = registry_series(bed.old, METRIC_REQUEST_DURATION, values);
		slab_observe(bed.slab, series, 900000000);
		slab_observe(bed.slab, series, 1100000000);
		slab_observe(bed.slab, series, 2500000000);
		pass_on(&bed);
		slab_observe(bed.slab, series, 9000000000);
		pass_on(&bed);
		question = ask(bed.new, METRIC_REQUEST_DURATION, false);
		is_u64(question.count, 4, "all observations");
		is_u64(question.sum, 13500000000, "and their sum");
		if (i == 0)
			ok(question.buckets[0] == 1 && question.buckets[1] == 1 &&
				   question.buckets[2] == 1 && question.buckets[3] == 1,
			   "in the same buckets");
		else
			ok(question.buckets[0] == 0 && question.buckets[1] == 2 &&
				   question.buckets[2] == 2,
			   "in the buckets that their bounds belong to");
		tear_down(&bed);
	}
}

static void test_no_gauges(void)
{
	struct bed bed;

	set_up(&bed, (struct registry_bounds){0}, (struct registry_bounds){0});
	slab_gauge_add(bed.slab, registry_series(bed.old, METRIC_ACTIVE_STREAMS, NULL), 3);
	pass_on(&bed);
	is_int(ask(bed.new, METRIC_ACTIVE_STREAMS, false).value, 0, "gauges are not passed on");
	tear_down(&bed);
}

static void test_many(void)
{
	enum { N = 5000 };
	struct bed bed;

	set_up(&bed, (struct registry_bounds){0}, (struct registry_bounds){0});
	for (unsigned i = 0; i < N; i++) {
		struct str values[] = {{(const char *)&i, sizeof(i)}, S("b"), S("200")};

		slab_add(bed.slab, registry_series(bed.old, METRIC_REQUESTS, values), 1);
	}
	pass_on(&bed);
	is_int(ask(bed.new, METRIC_REQUESTS, false).value, N, "many series");
	ok(bed.n_pieces > 10 && bed.largest <= TRANSCRIPT_MAX_BYTES, "in pieces");
	tear_down(&bed);
}

static void test_failed_send(void)
{
	const struct series *series;
	struct bed bed;

	set_up(&bed, (struct registry_bounds){0}, (struct registry_bounds){0});
	series =
		registry_series(bed.old, METRIC_REQUESTS, (struct str[]){S("m"), S("b"), S("200")});
	slab_add(bed.slab, series, 1);
	bed.error = -EPIPE;
	is_int(transcript_send(&bed.transcript), -EPIPE, "a failure to send is told");
	tear_down(&bed);
}

/* A copy of its own size, so that a read beyond its end is seen. */
static int absorb_copy(struct bed *bed, size_t n, size_t changed, int value)
{
	char *copy = need(malloc(n + 1));
	int r;

	memcpy(copy, bed->sent.data, n);
	if (changed < n)
		copy[changed] = (char)value;
	r = transcript_absorb(bed->new, bed->inherited, (struct str){copy, n});
	free(copy);
	return r;
}

/* The second piece has two records; what is whole of a prefix is taken. */
static void test_prefixes(struct bed *bed)
{
	size_t n_taken = 0, first_record = 0;

	for (size_t n = 0; n < bed->sent.len; n++)
		if (absorb_copy(bed, n, n, 0) == 0) {
			n_taken++;
			first_record = n;
		}
	is_u64(n_taken, 2, "only prefixes that end with a record are pieces: none, and the first");
	ok(first_record > 0, "which has bytes");
	is_int(ask(bed->new, METRIC_REQUESTS, false).value, (int64_t)(bed->sent.len - first_record),
	       "a record in front of the fault was added each time");
	is_u64(ask(bed->new, METRIC_EVENT_LOOP_LAG, false).count, 0, "one that is cut never was");
}

static void test_changed_bytes(struct bed *bed)
{
	struct question requests, lag;
	size_t n_changes = 0;

	for (size_t i = 0; i < bed->sent.len; i++)
		for (int value = 0; value < 256; value += 51, n_changes++)
			(void)!absorb_copy(bed, bed->sent.len, i, value);
	requests = ask(bed->new, METRIC_REQUESTS, false);
	lag = ask(bed->new, METRIC_EVENT_LOOP_LAG, false);
	ok(requests.n > 1 && requests.n <= 1 + n_changes,
	   "a changed name is one more series at most");
	is_u64(lag.n, 1, "and none where there are no labels");
	is_int(absorb_copy(bed, bed->sent.len, bed->sent.len, 0), 0, "the sound piece is taken");
	is_int(ask(bed->new, METRIC_REQUESTS, false).value, requests.value + 1, "and counted");
	is_u64(ask(bed->new, METRIC_EVENT_LOOP_LAG, false).count, lag.count + 1, "all of it");
}

static void test_damage(void)
{
	const struct series *series;
	struct bed bed;

	set_up(&bed, (struct registry_bounds){0}, (struct registry_bounds){0});
	series =
		registry_series(bed.old, METRIC_REQUESTS, (struct str[]){S("m"), S("b"), S("200")});
	if (transcript_send(&bed.transcript) < 0)
		abort();
	buf_clear(&bed.sent);
	slab_add(bed.slab, series, 1);
	slab_observe(bed.slab, registry_series(bed.old, METRIC_EVENT_LOOP_LAG, NULL), 1);
	if (transcript_send(&bed.transcript) < 0)
		abort();
	test_prefixes(&bed);
	test_changed_bytes(&bed);
	tear_down(&bed);
}

int main(void)
{
	test_counters();
	test_histogram();
	test_no_gauges();
	test_many();
	test_failed_send();
	test_damage();
	return tap_done();
}
