/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stats_json.h"

#include <errno.h>

#include "base/clock.h"
#include "base/jsonx.h"
#include "metrics/bundle.h"
#include "tests/tap.h"
#include "tests/unit/fleet.h"

static struct slab *slab_of(struct fleet *fleet)
{
	struct slab *slab = registry_slab_new(fleet->registry);

	fleet_need(slab);
	return slab;
}

#define STARTED_NS (500 * NS_PER_SEC)

struct scene {
	struct fleet fleet;
	struct slab *slab;
	struct route_table *table;
	struct history *history;
};

static void scene_init(struct scene *scene)
{
	struct fleet *fleet = &scene->fleet;

	fleet_init(fleet);
	fleet_add(fleet, "b-two", BACKEND_VLLM);
	fleet_state(fleet, "llama3:70b");
	fleet_state(fleet, "idle");
	fleet_add(fleet, "a-one", BACKEND_OLLAMA);
	fleet_state(fleet, "llama3:70b");
	fleet_add(fleet, "shy", BACKEND_OLLAMA)->optional = true;
	fleet_set_health(fleet, "a-one", BACKEND_HEALTHY);
	fleet_set_health(fleet, "b-two", BACKEND_UNHEALTHY);
	scene->slab = slab_of(fleet);
	scene->table = fleet_build(fleet, NULL);
	scene->history = history_new(fleet->registry);
	fleet_need(scene->history);
}

static void scene_done(struct scene *scene)
{
	history_free(scene->history);
	route_table_unref(scene->table);
	fleet_done(&scene->fleet);
}

static void request(struct scene *scene, const char *model, const char *backend, unsigned status,
		    uint64_t usec)
{
	struct bundle *bundle = bundle_find(scene->fleet.registry, str_of(model), str_of(backend));

	fleet_need(bundle);
	slab_add(scene->slab, bundle_requests(bundle, status), 1);
	slab_observe(scene->slab, bundle_series(bundle, BUNDLE_DURATION), usec * 1000);
	if (status != 200)
		return;
	slab_observe(scene->slab, bundle_series(bundle, BUNDLE_TOKENS_PROMPT), 10);
	slab_observe(scene->slab, bundle_series(bundle, BUNDLE_TOKENS_COMPLETION), 3);
}

static void take(struct scene *scene, uint64_t seconds)
{
	if (history_take(scene->history, STARTED_NS + seconds * NS_PER_SEC,
			 1800000000999 + seconds * 1000) < 0)
		abort();
}

/* malloc'ed, NUL-terminated. */
static char *document_of(struct scene *scene, const struct stats_json_inputs *inputs)
{
	struct buf out;
	char *text;
	size_t n;

	buf_init(&out, 1 << 20);
	if (stats_json_write(scene->fleet.registry, inputs, &out) < 0)
		abort();
	text = buf_take(&out, &n);
	fleet_need(text);
	buf_done(&out);
	return text;
}

static char *document(struct scene *scene)
{
	const struct stats_json_inputs inputs = {
		.version = "1.2.3",
		.started_ns = STARTED_NS,
		.now_ns = STARTED_NS + 77 * NS_PER_SEC,
		.table = scene->table,
		.history = scene->history,
	};

	return document_of(scene, &inputs);
}

static void is_document(struct scene *scene, const char *want, const char *what)
{
	char *text = document(scene);

	is_text(text, want, "%s", what);
	free(text);
}

/* Parts of rows. */
#define NONE_KNOWN  "{\"p50\":null,\"p95\":null,\"p99\":null}"
#define NO_TTFT     "\"ttft_ms\":" NONE_KNOWN
#define NO_DURATION "\"duration_ms\":" NONE_KNOWN "," NO_TTFT
/* In the first bucket, which ends at 100 ms. */
#define SHORT_ONES  "\"duration_ms\":{\"p50\":50.0,\"p95\":95.0,\"p99\":99.0}," NO_TTFT
#define NO_TOKENS   "\"tokens\":{\"prompt\":0,\"completion\":0},\"cost_usd\":0.0}"
#define SOME_TOKENS "\"tokens\":{\"prompt\":10,\"completion\":3},\"cost_usd\":0.0}"
#define END                                                                             \
	"],\"version\":\"1.2.3\",\"queue\":{\"depth\":0,\"rejections\":0},\"statsd\":{" \
	"\"enabled\":false,\"address\":null,"                                           \
	"\"error\":null,\"packets_sent\":0,\"packets_dropped\":0},"                     \
	"\"rates\":{\"requests_per_second\":0.0,\"tokens_per_second\":0.0}}"

static const char nothing_yet[] =
	"{\"uptime_seconds\":77,\"requests\":{\"total\":0,\"success\":0,\"errors\":0},"
	"\"backends\":["
	"{\"id\":\"a-one\",\"requests\":0,\"average_latency_ms\":0.0,\"pending\":0,"
	"\"name\":\"a-one\",\"type\":\"ollama\",\"zone\":\"restricted\",\"status\":\"healthy\","
	"\"circuit\":\"closed\",\"held_seconds\":0,"
	"\"error_rate\":0.0," NO_TTFT ",\"in_flight\":0},"
	"{\"id\":\"b-two\",\"requests\":0,\"average_latency_ms\":0.0,\"pending\":0,"
	"\"name\":\"b-two\",\"type\":\"vllm\",\"zone\":\"restricted\",\"status\":\"unhealthy\","
	"\"circuit\":\"closed\",\"held_seconds\":0,"
	"\"error_rate\":0.0," NO_TTFT ",\"in_flight\":0}],"
	"\"models\":["
	"{\"name\":\"idle\",\"requests\":0,\"average_duration_ms\":0.0," NO_DURATION "," NO_TOKENS
	","
	"{\"name\":\"llama3:70b\",\"requests\":0,\"average_duration_ms\":0.0," NO_DURATION
	"," NO_TOKENS END;

static void test_nothing_yet(void)
{
	struct scene scene;

	scene_init(&scene);
	is_document(&scene, nothing_yet,
		    "before any request every backend is there, but not an optional one");
	scene_done(&scene);
}

static const char six_requests[] =
	"{\"uptime_seconds\":77,\"requests\":{\"total\":6,\"success\":3,\"errors\":3},"
	"\"backends\":["
	"{\"id\":\"a-one\",\"requests\":2,\"average_latency_ms\":1.5,\"pending\":0,"
	"\"name\":\"a-one\",\"type\":\"ollama\",\"zone\":\"restricted\",\"status\":\"healthy\","
	"\"circuit\":\"closed\",\"held_seconds\":0,"
	"\"error_rate\":0.0," NO_TTFT ",\"in_flight\":0},"
	"{\"id\":\"b-two\",\"requests\":1,\"average_latency_ms\":1.2,\"pending\":4,"
	"\"name\":\"b-two\",\"type\":\"vllm\",\"zone\":\"restricted\",\"status\":\"unhealthy\","
	"\"circuit\":\"closed\",\"held_seconds\":0,"
	"\"error_rate\":1.0," NO_TTFT ",\"in_flight\":4},"
	"{\"id\":\"gone\",\"requests\":1,\"average_latency_ms\":0.1,\"pending\":0,"
	"\"name\":\"gone\",\"type\":null,\"zone\":null,\"status\":\"removed\",\"circuit\":null,"
	"\"held_seconds\":0,"
	"\"error_rate\":0.0," NO_TTFT ",\"in_flight\":0}],"
	"\"models\":["
	"{\"name\":\"llama3:70b\",\"requests\":4,\"average_duration_ms\":1.1," SHORT_ONES
	"," SOME_TOKENS ","
	"{\"name\":\"_unknown\",\"requests\":1,\"average_duration_ms\":0.1," SHORT_ONES
	"," NO_TOKENS ","
	"{\"name\":\"llama3_70b\",\"requests\":1,\"average_duration_ms\":0.1," SHORT_ONES
	"," SOME_TOKENS ","
	"{\"name\":\"idle\",\"requests\":0,\"average_duration_ms\":0.0," NO_DURATION
	"," NO_TOKENS END;

static void test_counts(void)
{
	struct scene scene;

	scene_init(&scene);
	atomic_store(&fleet_backend(&scene.fleet, "b-two")->pending, 4);
	request(&scene, "llama3:70b", "a-one", 200, 1000);
	request(&scene, "llama3:70b", "a-one", 204, 2000);
	request(&scene, "llama3:70b", "b-two", 502, 1234);
	request(&scene, "llama3:70b", "none", 503, 0);
	request(&scene, "llama3_70b", "gone", 200, 149);
	request(&scene, "_unknown", "none", 404, 50);
	take(&scene, 70);
	is_document(&scene, six_requests,
		    "real names, unmerged; removed backends stay; models by requests, then name");
	scene_done(&scene);
}

static const struct series *series_of(struct scene *scene, enum metric metric, const char *model,
				      const char *backend)
{
	return registry_series(scene->fleet.registry, metric,
			       (struct str[]){str_of(model), str_of(backend)});
}

static void has(struct scene *scene, const char *wanted, const char *what)
{
	char *text = document(scene);

	if (!ok(strstr(text, wanted) != NULL, "%s", what))
		printf("#   no %s\n#   in %s\n", wanted, text);
	free(text);
}

/* The bounds of the buckets are 0.02 0.04 0.06 0.08 0.1 0.25 s, and others. */
static void test_percentiles(void)
{
	struct scene scene;

	scene_init(&scene);
	for (uint64_t i = 0; i < 10; i++) {
		const char *backend = i < 5 ? "a-one" : "b-two";
		uint64_t msec = i < 5 ? 30 : 200;

		slab_observe(scene.slab,
			     series_of(&scene, METRIC_TIME_TO_FIRST_TOKEN, "idle", backend),
			     msec * 1000000);
	}
	has(&scene, "\"ttft_ms\":{\"p50\":30.0,\"p95\":39.0,\"p99\":39.8},\"in_flight\"",
	    "those of a backend are of its own");
	has(&scene, "\"ttft_ms\":{\"p50\":175.0,\"p95\":242.5,\"p99\":248.5},\"in_flight\"",
	    "linear within a bucket");
	has(&scene, "\"ttft_ms\":{\"p50\":40.0,\"p95\":235.0,\"p99\":247.0},\"tokens\"",
	    "those of a model are over all its backends");
	scene_done(&scene);
}

static void test_cost_and_error_rate(void)
{
	struct scene scene;

	scene_init(&scene);
	slab_add(scene.slab, series_of(&scene, METRIC_COST, "idle", "a-one"), 1500000001);
	slab_add(scene.slab, series_of(&scene, METRIC_COST, "idle", "b-two"), 1000000000);
	has(&scene, "\"cost_usd\":2.500000001}", "a cost is exact to the last billionth");
	request(&scene, "idle", "a-one", 200, 1);
	request(&scene, "idle", "a-one", 299, 1);
	request(&scene, "idle", "a-one", 304, 1);
	has(&scene, "\"error_rate\":0.333333,", "error_rate: what is not 2xx");
	scene_done(&scene);
}

static void test_statsd(void)
{
	struct scene scene;
	struct stats_json_inputs inputs = {
		.version = "1",
		.statsd = {true, "udp://[::1]:8125", "Connection \"refused\""},
	};
	char *text;

	scene_init(&scene);
	inputs.table = scene.table;
	inputs.history = scene.history;
	for (int dropped = 0; dropped < 2; dropped++) {
		struct str result = dropped ? STR_LITERAL("dropped") : STR_LITERAL("sent");

		slab_add(scene.slab,
			 registry_series(scene.fleet.registry, METRIC_STATSD_PACKETS, &result),
			 dropped ? 3 : 44);
	}
	text = document_of(&scene, &inputs);
	ok(strstr(text, "\"statsd\":{\"enabled\":true,\"address\":\"udp://[::1]:8125\","
			"\"error\":\"Connection \\\"refused\\\"\",\"packets_sent\":44,"
			"\"packets_dropped\":3}"),
	   "statsd: its packets from the counters (%s)", text);
	free(text);
	scene_done(&scene);
}

static void test_rates(void)
{
	struct scene scene;

	scene_init(&scene);
	take(&scene, 0);
	request(&scene, "idle", "a-one", 200, 1);
	take(&scene, 10);
	for (int i = 0; i < 67; i++)
		request(&scene, "idle", "a-one", 200, 1);
	take(&scene, 20);
	/* Now is 77 s: the last point a minute ago is that of 10 s. */
	has(&scene, "\"rates\":{\"requests_per_second\":1.0,\"tokens_per_second\":13.0}}",
	    "rates are over the last minute");
	scene_done(&scene);
	scene_init(&scene);
	take(&scene, 77);
	request(&scene, "idle", "a-one", 200, 1);
	has(&scene, "\"rates\":{\"requests_per_second\":1.0,\"tokens_per_second\":13.0}}",
	    "at the start they are over a second at least");
	scene_done(&scene);
}

static void test_history(void)
{
	struct stats_json_inputs inputs = {.version = "1", .shows_history = true};
	struct scene scene;
	char *text;

	scene_init(&scene);
	inputs.table = scene.table;
	inputs.history = scene.history;
	take(&scene, 0);
	text = document_of(&scene, &inputs);
	ok(strstr(text, "},\"history\":[]}"), "no interval yet");
	free(text);
	atomic_store(&fleet_backend(&scene.fleet, "b-two")->pending, 4);
	request(&scene, "idle", "a-one", 200, 1);
	request(&scene, "idle", "a-one", 404, 1);
	take(&scene, 10);
	take(&scene, 22);
	text = document_of(&scene, &inputs);
	ok(strstr(text,
		  "\"history\":[{\"time\":1800000010,\"seconds\":10.0,\"requests\":2,\"errors\":1,"
		  "\"tokens\":13,\"in_flight\":0,\"streams\":0," SHORT_ONES "},"
		  "{\"time\":1800000022,\"seconds\":12.0,\"requests\":0,\"errors\":0,"
		  "\"tokens\":0,\"in_flight\":0,\"streams\":0," NO_DURATION "}]}"),
	   "what each interval added (%s)", text);
	free(text);
	scene_done(&scene);
}

/* Whatever a client or a backend calls a model, the document is JSON. */
static void test_odd_names(void)
{
	static const char *const names[] = {
		"say \"x\"", "back\\slash", "tab\tnew\nline",   "\x01\x7f",  "\xff\xfe",
		"h\xc3\xa9", "\xc3",        "\xf0\x9f\x98\x80", "</script>", "",
	};
	struct scene scene;
	struct json_object *root, *models;
	char *text;

	scene_init(&scene);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		request(&scene, names[i], names[i], 200, i);
	text = document(&scene);
	root = jsonx_parse(str_of(text));
	ok(root && utf8_is_valid(str_of(text)), "odd names make no odd JSON (%s)", text);
	models = jsonx_get(root, "models");
	is_u64(jsonx_length(models), ARRAY_SIZE(names) + 2, "each has its row");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		bool is_there = false;

		for (size_t j = 0; j < jsonx_length(models); j++)
			is_there |= str_eq(jsonx_string(jsonx_get(jsonx_at(models, j), "name")),
					   str_of(names[i]));
		if (utf8_is_valid(str_of(names[i])))
			ok(is_there, "name %zu comes back as it was", i);
	}
	jsonx_free(root);
	free(text);
	scene_done(&scene);
}

static void test_optional(void)
{
	struct scene scene;
	char *text;

	scene_init(&scene);
	fleet_set_health(&scene.fleet, "shy", BACKEND_HEALTHY);
	text = document(&scene);
	ok(strstr(text, "\"id\":\"shy\"") != NULL, "an optional backend that answered is there");
	free(text);
	fleet_set_health(&scene.fleet, "shy", BACKEND_UNKNOWN);
	request(&scene, "m", "shy", 502, 1);
	text = document(&scene);
	ok(strstr(text, "\"id\":\"shy\"") != NULL, "or one that had a request");
	free(text);
	scene_done(&scene);
}

static uint64_t number(struct json_object *object, const char *name)
{
	uint64_t value;

	if (jsonx_u64(jsonx_get(object, name), &value) < 0)
		abort();
	return value;
}

/* Whatever happened, the parts make the whole. */
static void test_sums(void)
{
	struct scene scene;
	struct json_object *root, *models;
	uint64_t sum = 0;
	char *text;

	scene_init(&scene);
	for (unsigned i = 0; i < 500; i++) {
		char model[16];

		snprintf(model, sizeof(model), "m%u", i % 37);
		request(&scene, model, i % 3 ? "a-one" : "none", i % 5 ? 200 : 404, i);
	}
	text = document(&scene);
	root = jsonx_parse(str_of(text));
	ok(root != NULL, "it is JSON");
	models = jsonx_get(root, "models");
	for (size_t i = 0; i < jsonx_length(models); i++)
		sum += number(jsonx_at(models, i), "requests");
	is_u64(number(jsonx_get(root, "requests"), "total"), 500, "total");
	is_u64(number(jsonx_get(root, "requests"), "success"), 400, "success");
	is_u64(number(jsonx_get(root, "requests"), "errors"), 100, "errors");
	is_u64(sum, 500, "the models make the total");
	jsonx_free(root);
	free(text);
	scene_done(&scene);
}

/* How long it takes is printed, not judged. */
static void test_many(void)
{
	enum { N_BACKENDS = 100, N_MODELS = 50, N_EACH = 10, N_ROUNDS = 11 };
	struct scene scene;
	uint64_t best_ns = UINT64_MAX;
	size_t n_bytes = 0;
	char name[16], model[16];

	scene_init(&scene);
	route_table_unref(scene.table);
	for (unsigned i = 2; i < N_BACKENDS; i++) {
		snprintf(name, sizeof(name), "backend-%u", i);
		fleet_add(&scene.fleet, name, BACKEND_VLLM);
		for (unsigned k = 0; k < N_EACH; k++) {
			snprintf(model, sizeof(model), "model-%u", (i * N_EACH + k) % N_MODELS);
			fleet_state(&scene.fleet, model);
			request(&scene, model, name, k % 5 ? 200 : 500, i * k);
		}
	}
	scene.table = fleet_build(&scene.fleet, NULL);
	take(&scene, 0);
	for (int i = 0; i < N_ROUNDS; i++) {
		uint64_t begin_ns = clock_monotonic_ns(), ns;
		char *text = document(&scene);

		ns = clock_monotonic_ns() - begin_ns;
		best_ns = ns < best_ns ? ns : best_ns;
		n_bytes = strlen(text);
		free(text);
	}
	ok(n_bytes > 100 * N_BACKENDS, "a large fleet has its document");
	printf("# %d backends with %d models each: %zu bytes in %llu us\n", N_BACKENDS, N_EACH,
	       n_bytes, (unsigned long long)(best_ns / NS_PER_USEC));
	scene_done(&scene);
}

static void test_ceiling(void)
{
	struct stats_json_inputs inputs = {.version = "1"};
	struct scene scene;
	struct buf out;

	scene_init(&scene);
	inputs.table = scene.table;
	inputs.history = scene.history;
	buf_init(&out, 100);
	is_int(stats_json_write(scene.fleet.registry, &inputs, &out), -EMSGSIZE,
	       "a ceiling is a failure");
	buf_done(&out);
	scene_done(&scene);
}

int main(void)
{
	test_nothing_yet();
	test_counts();
	test_percentiles();
	test_cost_and_error_rate();
	test_statsd();
	test_rates();
	test_history();
	test_odd_names();
	test_optional();
	test_sums();
	test_many();
	test_ceiling();
	return tap_done();
}
