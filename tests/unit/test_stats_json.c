/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stats_json.h"

#include <errno.h>

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

struct scene {
	struct fleet fleet;
	struct slab *slab;
	struct route_table *table;
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
}

static void scene_done(struct scene *scene)
{
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

/* malloc'ed, NUL-terminated. */
static char *document(struct scene *scene)
{
	const struct stats_json_inputs inputs = {
		.version = "1.2.3", .uptime_seconds = 77, .table = scene->table};
	struct buf out;
	char *text;
	size_t n;

	buf_init(&out, 1 << 20);
	if (stats_json_write(scene->fleet.registry, &inputs, &out) < 0)
		abort();
	text = buf_take(&out, &n);
	fleet_need(text);
	buf_done(&out);
	return text;
}

static void is_document(struct scene *scene, const char *want, const char *what)
{
	char *text = document(scene);

	is_text(text, want, "%s", what);
	free(text);
}

static void test_nothing_yet(void)
{
	struct scene scene;

	scene_init(&scene);
	is_document(&scene,
		    "{\"uptime_seconds\":77,\"requests\":{\"total\":0,\"success\":0,\"errors\":0},"
		    "\"backends\":["
		    "{\"id\":\"a-one\",\"requests\":0,\"average_latency_ms\":0.0,\"pending\":0,"
		    "\"name\":\"a-one\",\"type\":\"ollama\",\"status\":\"healthy\"},"
		    "{\"id\":\"b-two\",\"requests\":0,\"average_latency_ms\":0.0,\"pending\":0,"
		    "\"name\":\"b-two\",\"type\":\"vllm\",\"status\":\"unhealthy\"}],"
		    "\"models\":["
		    "{\"name\":\"idle\",\"requests\":0,\"average_duration_ms\":0.0,"
		    "\"tokens\":{\"prompt\":0,\"completion\":0}},"
		    "{\"name\":\"llama3:70b\",\"requests\":0,\"average_duration_ms\":0.0,"
		    "\"tokens\":{\"prompt\":0,\"completion\":0}}],"
		    "\"version\":\"1.2.3\"}",
		    "before any request every backend is there, but not an optional one");
	scene_done(&scene);
}

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
	is_document(&scene,
		    "{\"uptime_seconds\":77,\"requests\":{\"total\":6,\"success\":3,\"errors\":3},"
		    "\"backends\":["
		    "{\"id\":\"a-one\",\"requests\":2,\"average_latency_ms\":1.5,\"pending\":0,"
		    "\"name\":\"a-one\",\"type\":\"ollama\",\"status\":\"healthy\"},"
		    "{\"id\":\"b-two\",\"requests\":1,\"average_latency_ms\":1.2,\"pending\":4,"
		    "\"name\":\"b-two\",\"type\":\"vllm\",\"status\":\"unhealthy\"},"
		    "{\"id\":\"gone\",\"requests\":1,\"average_latency_ms\":0.1,\"pending\":0,"
		    "\"name\":\"gone\",\"type\":null,\"status\":\"removed\"}],"
		    "\"models\":["
		    "{\"name\":\"llama3:70b\",\"requests\":4,\"average_duration_ms\":1.1,"
		    "\"tokens\":{\"prompt\":10,\"completion\":3}},"
		    "{\"name\":\"_unknown\",\"requests\":1,\"average_duration_ms\":0.1,"
		    "\"tokens\":{\"prompt\":0,\"completion\":0}},"
		    "{\"name\":\"llama3_70b\",\"requests\":1,\"average_duration_ms\":0.1,"
		    "\"tokens\":{\"prompt\":10,\"completion\":3}},"
		    "{\"name\":\"idle\",\"requests\":0,\"average_duration_ms\":0.0,"
		    "\"tokens\":{\"prompt\":0,\"completion\":0}}],"
		    "\"version\":\"1.2.3\"}",
		    "real names, unmerged; removed backends stay; models by requests, then name");
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

static void test_ceiling(void)
{
	struct stats_json_inputs inputs = {.version = "1"};
	struct scene scene;
	struct buf out;

	scene_init(&scene);
	inputs.table = scene.table;
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
	test_optional();
	test_sums();
	test_ceiling();
	return tap_done();
}
