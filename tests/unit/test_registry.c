/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/registry.h"

#include <pthread.h>
#include <stdlib.h>

#include "metrics/snapshot.h"
#include "tests/tap.h"

#define S(text) STR_LITERAL(text)

static const struct registry_options roomy = {.max_series = 50000, .max_series_per_family = 20000};

static struct registry *registry_or_die(const struct registry_options *options)
{
	struct registry *registry = registry_new(options);

	if (!registry)
		abort();
	return registry;
}

static struct slab *slab_or_die(struct registry *registry)
{
	struct slab *slab = registry_slab_new(registry);

	if (!slab)
		abort();
	return slab;
}

/* What a snapshot says of one label text of one family. */
struct question {
	enum metric metric;
	struct str labels;
	size_t n_found, n_families;
	int64_t value;
	uint64_t count, sum;
	uint64_t buckets[HISTOGRAM_MAX_BUCKETS];
};

static void on_family(void *context, enum metric metric)
{
	struct question *question = context;

	question->n_families += metric == (enum metric)question->n_families;
}

static void on_sample(void *context, const struct sample *sample)
{
	struct question *question = context;

	if (sample->metric != question->metric || !str_eq(sample->labels, question->labels))
		return;
	question->n_found++;
	question->value += sample->value;
	question->count += sample->count;
	question->sum += sample->sum;
	for (size_t i = 0; i < sample->n_buckets; i++)
		question->buckets[i] += sample->buckets[i];
}

static struct question ask(struct registry *registry, enum metric metric, const char *labels,
			   bool merged)
{
	struct question question = {.metric = metric, .labels = str_of(labels)};
	const struct snapshot_visitor visitor = {
		.family = on_family, .sample = on_sample, .context = &question, .merged = merged};

	if (snapshot_visit(registry, &visitor) < 0)
		abort();
	return question;
}

static int64_t value_of(struct registry *registry, enum metric metric, const char *labels)
{
	return ask(registry, metric, labels, true).value;
}

static void test_basics(void)
{
	struct registry *registry = registry_or_die(&roomy);
	struct slab *a = slab_or_die(registry), *b;
	const struct str values[] = {S("llama3:70b"), S("a"), S("200")};
	const struct series *requests = registry_series(registry, METRIC_REQUESTS, values);
	const struct series *duration = registry_series(registry, METRIC_REQUEST_DURATION, values);
	const struct series *active =
		registry_series(registry, METRIC_GATEWAY_ACTIVE_REQUESTS, NULL);
	struct question question;

	ok(catalog_is_sound(), "the catalog is sound");
	ok(registry_series(registry, METRIC_REQUESTS, values) == requests, "a series is one");
	question = ask(registry, METRIC_REQUESTS,
		       "model=\"llama3_70b\",backend=\"a\",status=\"200\"", true);
	is_u64(question.n_families, N_METRICS, "all families are visited in order");
	is_u64(question.n_found, 1, "a series is visible at once");
	is_int(question.value, 0, "and 0");

	slab_add(a, requests, 1);
	b = slab_or_die(registry);
	slab_add(b, requests, 41);
	is_int(value_of(registry, METRIC_REQUESTS,
			"model=\"llama3_70b\",backend=\"a\",status=\"200\""),
	       42, "slabs are added up");

	slab_gauge_add(a, active, 5);
	slab_gauge_add(b, active, -7);
	is_int(value_of(registry, METRIC_GATEWAY_ACTIVE_REQUESTS, ""), -2, "a gauge may be < 0");
	slab_gauge_add(a, active, 2);
	is_int(value_of(registry, METRIC_GATEWAY_ACTIVE_REQUESTS, ""), 0, "and returns to 0");

	slab_observe(a, duration, 100000000);
	slab_observe(b, duration, 100000001);
	slab_observe(b, duration, 301000000000);
	question =
		ask(registry, METRIC_REQUEST_DURATION, "model=\"llama3_70b\",backend=\"a\"", true);
	is_u64(question.buckets[0], 1, "a bound belongs to its bucket");
	is_u64(question.buckets[1], 1, "one more does not");
	is_u64(question.buckets[11], 1, "above all bounds");
	is_u64(question.count, 3, "count");
	is_u64(question.sum, 301200000001, "sum");
	registry_free(registry);
}

static void test_birth(void)
{
	struct registry *registry = registry_or_die(&roomy);

	is_u64(ask(registry, METRIC_ACTIVE_STREAMS, "", true).n_found, 1,
	       "what has no labels is there from the start");
	is_u64(ask(registry, METRIC_METRIC_OVERFLOW, "metric=\"nexus_tokens_total\"", true).n_found,
	       1, "so are the overflow counters");
	is_u64(ask(registry, METRIC_REQUESTS, "", true).n_found, 0, "other families are empty");
	is_u64(ask(registry, METRIC_BACKENDS, "", true).n_found, 0, "as is one without provider");
	registry_free(registry);
	ok(registry_free(NULL) == NULL, "freeing nothing is allowed");
}

#define TEN      "0123456789"
#define FIFTY    TEN TEN TEN TEN TEN
#define LONG_128 FIFTY FIFTY TEN TEN "01234567"
#define UTF8_130 FIFTY FIFTY TEN "\xE2\x82\xAC\xE2\x82\xAC" TEN "0123"

/* The values are those of {model, name} of a family with one sanitized and one plain label. */
static const struct {
	const char *why;
	struct str value;
	const char *sanitized, *raw;
} label_rows[] = {
	{"plain", {"gpt_4o", 6}, "gpt_4o", "gpt_4o"},
	{"dash", {"gpt-4", 5}, "gpt_4", "gpt-4"},
	{"colon", {"ollama:11434", 12}, "ollama_11434", "ollama:11434"},
	{"leading digit", {"123model", 8}, "_123model", "123model"},
	{"one digit", {"4", 1}, "_4", "4"},
	{"slash and dot",
	 {"meta-llama/Llama-3.1", 20},
	 "meta_llama_Llama_3_1",
	 "meta-llama/Llama-3.1"},
	{"stand-in", {"_unknown", 8}, "_unknown", "_unknown"},
	{"empty", {"", 0}, "unknown", "unknown"},
	{"empty without bytes", {NULL, 0}, "unknown", "unknown"},
	{"quote, backslash, line feed", {"a\"b\\c\nd", 7}, "a_b_c_d", "a\\\"b\\\\c\\nd"},
	{"one character of two bytes", {"\xC3\xA9t\xC3\xA9", 5}, "_t_", "\xC3\xA9t\xC3\xA9"},
	{"one of four", {"\xF0\x9F\x98\x80!", 5}, "__", "\xF0\x9F\x98\x80!"},
	{"invalid UTF-8", {"a\xFFz", 3}, "a_z", "a\xEF\xBF\xBDz"},
	{"cut off UTF-8", {"a\xE2\x82", 3}, "a__", "a\xEF\xBF\xBD\xEF\xBF\xBD"},
	{"overlong UTF-8", {"\xC0\xAF", 2}, "__", "\xEF\xBF\xBD\xEF\xBF\xBD"},
	{"just 128 bytes",
	 {"x" LONG_128, 128},
	 "x" FIFTY FIFTY TEN TEN "0123456",
	 "x" FIFTY FIFTY TEN TEN "0123456"},
};

static char *expected_labels(const char *model, const char *name)
{
	char *text = malloc(1024);

	if (!text)
		abort();
	snprintf(text, 1024, "error_type=\"%s\",model=\"%s\"", name, model);
	return text;
}

/* nexus_errors_total{error_type,model}: only `model` names something of the fleet. */
static void check_labels(struct registry *registry, bool raw)
{
	for (size_t i = 0; i < sizeof(label_rows) / sizeof(label_rows[0]); i++) {
		const struct str values[] = {label_rows[i].value, label_rows[i].value};
		const struct series *series = registry_series(registry, METRIC_ERRORS, values);
		char *want = expected_labels(raw ? label_rows[i].raw : label_rows[i].sanitized,
					     label_rows[i].raw);

		ok(str_eq(series->labels, str_of(want)), "%s label: %s", raw ? "raw" : "sanitized",
		   label_rows[i].why);
		ok(str_eq(series->values[1], values[1]), "the real name is kept");
		free(want);
	}
}

static void check_cut(struct registry *registry, const char *why, struct str a, struct str b,
		      size_t want_n)
{
	const struct series *of_a =
		registry_series(registry, METRIC_HEALTH_CHECKS, (struct str[]){a, S("ok")});
	const struct series *of_b =
		registry_series(registry, METRIC_HEALTH_CHECKS, (struct str[]){b, S("ok")});
	size_t around = strlen("backend=\"\",result=\"ok\"");

	is_u64(of_a->labels.n, want_n + around, "%s: length", why);
	ok(of_a->labels.n == of_b->labels.n && !str_eq(of_a->labels, of_b->labels),
	   "%s: another end is another text", why);
	ok(utf8_is_valid(of_a->labels), "%s: valid UTF-8", why);
	ok(of_a->labels.p[strlen("backend=\"") + want_n - 17] == '_', "%s: hash tail", why);
}

static void test_labels(void)
{
	struct registry_options options = roomy;
	struct registry *sanitized = registry_or_die(&options), *raw;
	const struct str path[] = {S("GET"), S("/v1/models"), S("200")};
	const struct str fallback[] = {S("a-b"), S("c-d")};
	const struct str hash[] = {S(LONG_128 "9"), S("ok")};

	options.raw_labels = true;
	raw = registry_or_die(&options);
	check_labels(sanitized, false);
	check_labels(raw, true);
	ok(str_eq(registry_series(sanitized, METRIC_GATEWAY_REQUESTS, path)->labels,
		  S("method=\"GET\",path=\"/v1/models\",status=\"200\"")),
	   "paths and statuses stay as they are");
	ok(str_eq(registry_series(sanitized, METRIC_FALLBACKS, fallback)->labels,
		  S("from_model=\"a_b\",to_model=\"c_d\"")),
	   "both models of a fallback are sanitized");
	check_cut(raw, "129 bytes", S(LONG_128 "8"), S(LONG_128 "9"), 128);
	check_cut(raw, "a cut within a character", S(UTF8_130 "ab"), S(UTF8_130 "cd"), 127);
	check_cut(sanitized, "129 bytes, sanitized", S("x" LONG_128), S("y" LONG_128), 128);
	ok(str_eq(registry_series(raw, METRIC_HEALTH_CHECKS, hash)->labels,
		  S("backend=\"" FIFTY FIFTY TEN "0_595cd8c634e203d5\",result=\"ok\"")),
	   "the hash tail is the same after every start");
	registry_free(sanitized);
	registry_free(raw);
}

static void test_merge(void)
{
	struct registry *registry = registry_or_die(&roomy);
	struct slab *slab = slab_or_die(registry);
	static const char *const names[] = {"gpt-4", "gpt_4", "gpt.4", "other"};
	const char *labels = "model=\"gpt_4\",backend=\"b\"";
	struct question question;

	for (size_t i = 0; i < 4; i++) {
		const struct str values[] = {str_of(names[i]), S("b")};

		slab_add(slab, registry_series(registry, METRIC_USAGE_MISSING, values), 1);
		slab_observe(slab, registry_series(registry, METRIC_REQUEST_DURATION, values), i);
	}
	question = ask(registry, METRIC_USAGE_MISSING, labels, true);
	is_u64(question.n_found, 1, "equal texts are one sample");
	is_int(question.value, 3, "added up");
	is_u64(ask(registry, METRIC_USAGE_MISSING, labels, false).n_found, 3, "or three, unmerged");
	question = ask(registry, METRIC_REQUEST_DURATION, labels, true);
	is_u64(question.n_found, 1, "the same goes for histograms");
	is_u64(question.count, 3, "their counts");
	is_u64(question.sum, 0 + 1 + 2, "and their sums");
	registry_free(registry);
}

static int64_t overflow_of(struct registry *registry, const char *family)
{
	char labels[128];

	snprintf(labels, sizeof(labels), "metric=\"%s\"", family);
	return value_of(registry, METRIC_METRIC_OVERFLOW, labels);
}

static const struct series *missing(struct registry *registry, const char *model)
{
	return registry_series(registry, METRIC_USAGE_MISSING,
			       (struct str[]){str_of(model), S("b")});
}

static void test_family_budget(void)
{
	const struct registry_options options = {.max_series = 1000, .max_series_per_family = 2};
	struct registry *registry = registry_or_die(&options);
	struct slab *slab = slab_or_die(registry);
	const char *other = "model=\"_other\",backend=\"_other\"";
	int64_t n_series = value_of(registry, METRIC_METRIC_SERIES, "");
	const struct series *a = missing(registry, "a");

	missing(registry, "b");
	is_int(value_of(registry, METRIC_METRIC_SERIES, ""), n_series + 2, "series are counted");
	is_u64(ask(registry, METRIC_USAGE_MISSING, other, true).n_found, 0, "no _other yet");
	slab_add(slab, missing(registry, "c"), 1);
	slab_add(slab, missing(registry, "d"), 1);
	slab_add(slab, missing(registry, "c"), 1);
	ok(missing(registry, "a") == a, "what was there stays");
	is_int(value_of(registry, METRIC_USAGE_MISSING, other), 3, "the rest is _other");
	is_int(overflow_of(registry, "nexus_usage_missing_total"), 3, "each call is counted");
	is_int(overflow_of(registry, "nexus_requests_total"), 0, "for its family");
	is_int(value_of(registry, METRIC_METRIC_SERIES, ""), n_series + 3, "_other counts as one");
	slab_observe(
		slab,
		registry_series(registry, METRIC_REQUEST_DURATION, (struct str[]){S("a"), S("b")}),
		1);
	is_u64(ask(registry, METRIC_REQUEST_DURATION, "model=\"a\",backend=\"b\"", true).count, 1,
	       "other families are not affected");
	registry_free(registry);
}

static void test_total_budget(void)
{
	struct registry_options options = {.max_series = 0, .max_series_per_family = 10};
	struct registry *registry = registry_or_die(&options);
	struct slab *slab = slab_or_die(registry);
	const struct str values[] = {S("m"), S("b")};
	const struct series *duration = registry_series(registry, METRIC_REQUEST_DURATION, values);

	slab_observe(slab, duration, 7);
	is_u64(ask(registry, METRIC_REQUEST_DURATION, "model=\"_other\",backend=\"_other\"", true)
		       .sum,
	       7, "an _other histogram works");
	is_int(overflow_of(registry, "nexus_request_duration_seconds"), 1, "and is counted");
	slab_gauge_add(slab, registry_series(registry, METRIC_ACTIVE_STREAMS, NULL), 1);
	is_int(value_of(registry, METRIC_ACTIVE_STREAMS, ""), 1,
	       "the budget spares the fixed ones");
	registry_free(registry);

	options = (struct registry_options){.max_series = SIZE_MAX,
					    .max_series_per_family = SIZE_MAX};
	registry = registry_or_die(&options);
	ok(missing(registry, "a") != NULL, "an absurd budget is clamped");
	registry_free(registry);
}

/* A model that really is called _other shares the text, not the series. */
static void test_other_by_name(void)
{
	const struct registry_options options = {.max_series = 1000, .max_series_per_family = 1};
	struct registry *registry = registry_or_die(&options);
	struct slab *slab = slab_or_die(registry);
	const struct str values[] = {S("_other"), S("_other")};
	const char *labels = "model=\"_other\",backend=\"_other\"";
	const struct series *real = registry_series(registry, METRIC_USAGE_MISSING, values);

	slab_add(slab, real, 1);
	is_int(value_of(registry, METRIC_USAGE_MISSING, labels), 1, "seen before any overflow");
	is_u64(ask(registry, METRIC_USAGE_MISSING, labels, false).n_found, 1, "once, unmerged");
	ok(missing(registry, "x") != real, "the overflow is another series");
	slab_add(slab, missing(registry, "x"), 1);
	is_int(value_of(registry, METRIC_USAGE_MISSING, labels), 2, "both are added up");
	is_u64(ask(registry, METRIC_USAGE_MISSING, labels, true).n_found, 1, "as one");
	registry_free(registry);
}

enum { N_THREADS = 4, N_INCREMENTS = 2500000, N_HISTOGRAMS = 64, N_NAMES = 3000 };

struct worker {
	struct registry *registry;
	struct slab *slab;
	pthread_t thread;
	unsigned number;
	uint64_t sum;
};

static const struct series *numbered(struct registry *registry, enum metric metric, unsigned n)
{
	char name[32];
	int length = snprintf(name, sizeof(name), "m%u", n);

	return registry_series(registry, metric,
			       (struct str[]){{name, (size_t)length}, S("b"), S("200")});
}

static void *increment(void *context)
{
	struct worker *worker = context;
	const struct series *counter = numbered(worker->registry, METRIC_USAGE_MISSING, 0);
	const struct series *histograms[N_HISTOGRAMS];

	for (unsigned i = 0; i < N_HISTOGRAMS; i++)
		histograms[i] = numbered(worker->registry, METRIC_REQUEST_DURATION, i);
	for (uint64_t i = 0; i < N_INCREMENTS; i++) {
		slab_add(worker->slab, counter, 1);
		if (i % 4 == 0) {
			uint64_t value = 2000000000 + i % 7;

			slab_observe(worker->slab, histograms[i / 4 % N_HISTOGRAMS], value);
			worker->sum += value;
		}
	}
	return NULL;
}

struct reading {
	bool is_wrong;
	uint64_t observations, sum;
	int64_t counter;
};

/* Each observation is 2 s and a few ns, all in one bucket: a sum that does not belong to its count
 * is off by whole seconds. */
static void judge_sample(void *context, const struct sample *sample)
{
	struct reading *reading = context;

	if (sample->metric == METRIC_USAGE_MISSING)
		reading->counter = sample->value;
	if (sample->metric != METRIC_REQUEST_DURATION)
		return;
	reading->is_wrong |=
		sample->sum / 2000000000 != sample->count || sample->buckets[4] != sample->count;
	reading->observations += sample->count;
	reading->sum += sample->sum;
}

static struct reading read_once(struct registry *registry)
{
	struct reading reading = {0};
	const struct snapshot_visitor visitor = {
		.sample = judge_sample, .context = &reading, .merged = true};

	if (snapshot_visit(registry, &visitor) < 0)
		abort();
	return reading;
}

static atomic_bool stop_reading;

static void *read_on(void *context)
{
	struct worker *worker = context;
	int64_t last = 0;

	while (!atomic_load(&stop_reading)) {
		struct reading reading = read_once(worker->registry);

		worker->sum += reading.is_wrong || reading.counter < last;
		last = reading.counter;
	}
	return NULL;
}

static void start(struct worker *worker, struct registry *registry, void *(*run)(void *))
{
	worker->registry = registry;
	worker->slab = slab_or_die(registry);
	if (pthread_create(&worker->thread, NULL, run, worker))
		abort();
}

static void test_threads(void)
{
	struct registry *registry = registry_or_die(&roomy);
	struct worker workers[N_THREADS] = {0}, readers[2] = {0};
	struct reading reading;
	uint64_t sum = 0;

	for (size_t i = 0; i < 2; i++)
		start(&readers[i], registry, read_on);
	for (size_t i = 0; i < N_THREADS; i++)
		start(&workers[i], registry, increment);
	for (size_t i = 0; i < N_THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		sum += workers[i].sum;
	}
	atomic_store(&stop_reading, true);
	for (size_t i = 0; i < 2; i++) {
		pthread_join(readers[i].thread, NULL);
		is_u64(readers[i].sum, 0, "no reading was inconsistent or went back");
	}
	reading = read_once(registry);
	is_int(reading.counter, (int64_t)N_THREADS * N_INCREMENTS, "10^7 increments, none lost");
	is_u64(reading.observations, (uint64_t)N_THREADS * N_INCREMENTS / 4, "all observations");
	is_u64(reading.sum, sum, "and their sum");
	ok(!reading.is_wrong, "consistent at rest");
	registry_free(registry);
}

/* All make the same series in different orders, so that the table grows under the readers. */
static void *bear(void *context)
{
	struct worker *worker = context;

	for (unsigned i = 0; i < N_NAMES; i++) {
		unsigned n = worker->number % 2 ? i : N_NAMES - 1 - i;

		slab_add(worker->slab, numbered(worker->registry, METRIC_REQUESTS, n), 1);
		slab_observe(worker->slab, numbered(worker->registry, METRIC_TOKENS, n), 2);
	}
	return NULL;
}

struct count {
	size_t n, wrong;
};

static void count_sample(void *context, const struct sample *sample)
{
	struct count *count = context;

	if (sample->metric == METRIC_REQUESTS)
		count->wrong += sample->value != N_THREADS;
	else if (sample->metric == METRIC_TOKENS)
		count->wrong += sample->count != N_THREADS || sample->sum != 2 * N_THREADS;
	else
		return;
	count->n++;
}

static void test_growth(void)
{
	struct registry *registry = registry_or_die(&roomy);
	struct worker workers[N_THREADS] = {0}, reader = {0};
	struct count count = {0};
	const struct snapshot_visitor visitor = {.sample = count_sample, .context = &count};

	atomic_store(&stop_reading, false);
	start(&reader, registry, read_on);
	for (unsigned i = 0; i < N_THREADS; i++) {
		workers[i].number = i;
		start(&workers[i], registry, bear);
	}
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	atomic_store(&stop_reading, true);
	pthread_join(reader.thread, NULL);
	is_int(snapshot_visit(registry, &visitor), 0, "snapshot");
	is_u64(count.n, 2 * (size_t)N_NAMES, "each series was made once");
	is_u64(count.wrong, 0, "and got everyone's counts");
	registry_free(registry);
}

int main(void)
{
	test_basics();
	test_birth();
	test_labels();
	test_merge();
	test_family_budget();
	test_total_budget();
	test_other_by_name();
	test_threads();
	test_growth();
	return tap_done();
}
