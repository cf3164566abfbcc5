/* SPDX-License-Identifier: Apache-2.0 */
#include "route/route_table.h"

#include <pthread.h>

#include "fleet.h"
#include "metrics/snapshot.h"
#include "route/listing.h"
#include "tap.h"

static void is_model(const struct route_table *table, const char *name, const char *id)
{
	const struct route_model *model = fleet_find(table, name);

	if (id)
		is_text(model ? model->id : NULL, id, "%s means %s", name, id);
	else
		ok(!model, "%s is not known", name);
}

/* The names of a model's candidates with blanks between them. */
static const char *candidates_of(const struct route_table *table, const char *name)
{
	static char text[512];
	const struct route_model *model = fleet_find(table, name);

	text[0] = '\0';
	for (size_t i = 0; model && i < model->n_candidates; i++) {
		size_t n = strlen(text);

		(void)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "",
			       model->candidates[i].backend->name);
	}
	return text;
}

static void test_candidates(void)
{
	struct fleet fleet;
	struct route_table *table;
	const struct route_model *model;
	struct model_config *stated;

	fleet_init(&fleet);
	fleet_add(&fleet, "zeta", BACKEND_VLLM);
	fleet_discover(&fleet, "zeta", "shared own-z x/y:z");
	fleet_add(&fleet, "alpha", BACKEND_GENERIC);
	stated = fleet_state(&fleet, "shared");
	stated->context_length = 8192;
	stated->vision = TRISTATE_NO;
	stated->tools = TRISTATE_YES;
	fleet_state(&fleet, "stated");
	fleet_add(&fleet, "empty", BACKEND_LMSTUDIO);
	fleet_backend(&fleet, "zeta")->models[1].context_length = 77;
	table = fleet_build(&fleet, NULL);

	is_u64(table->n_models, 4, "every model once");
	for (size_t i = 1; i < table->n_models; i++)
		ok(strcmp(table->models[i - 1].id, table->models[i].id) < 0, "%s in order",
		   table->models[i].id);
	is_text(candidates_of(table, "shared"), "alpha zeta", "candidates by backend name");
	is_text(candidates_of(table, "own-z"), "zeta", "a model of one backend");
	is_text(candidates_of(table, "stated"), "alpha", "a stated model");
	is_model(table, "x/y:z", "x/y:z");
	is_model(table, "share", NULL);
	is_model(table, "", NULL);

	model = fleet_find(table, "shared");
	is_u64(model->candidates[0].index, 1, "the index is the configuration's");
	ok(model->candidates[0].config == &fleet.backend_configs[1], "so is the rest of it");
	ok(model->candidates[0].backend == fleet_backend(&fleet, "alpha"), "live state is shared");
	ok(table->backends[1] == fleet_backend(&fleet, "alpha"), "and in the order of the file");
	is_u64(model->candidates[0].model->context_length, 8192, "what is stated is known");
	is_int(model->candidates[0].model->vision, TRISTATE_NO, "a stated no");
	is_int(model->candidates[0].model->tools, TRISTATE_YES, "a stated yes");
	is_int(model->candidates[0].model->json_mode, TRISTATE_UNKNOWN, "what is not stated");
	is_text(model->candidates[0].model->id, "shared", "under the model's id");
	fleet_discover(&fleet, "zeta", "other");
	is_u64(model->candidates[1].model->context_length, 77, "what was discovered is a copy");
	ok(model->unrouted && model->candidates[0].bundle && table->unknown, "bundles are there");
	ok(model->candidates[0].bundle != model->candidates[1].bundle, "one for each pair");
	ok(route_table_unref(route_table_ref(table)) == NULL, "references are counted");
	is_int(atomic_load(&table->references), 1, "down to the first one");
	route_table_unref(table);
	is_int(fleet.config.references, 1, "the table gave the configuration back");
	is_int(atomic_load(&fleet_backend(&fleet, "zeta")->references), 1, "and its backends");
	ok(route_table_unref(NULL) == NULL, "NULL is accepted");
	fleet_done(&fleet);
}

static void test_empty(void)
{
	struct fleet fleet;
	struct route_table *table;

	fleet_init(&fleet);
	table = fleet_build(&fleet, NULL);
	is_u64(table->n_models, 0, "no backend, no model");
	is_model(table, "m", NULL);
	route_table_unref(fleet_build(&fleet, table));
	route_table_unref(table);
	fleet_done(&fleet);
}

static void test_names(void)
{
	struct fleet fleet;
	struct route_table *table;

	fleet_init(&fleet);
	fleet_add(&fleet, "ollama", BACKEND_OLLAMA);
	fleet_discover(&fleet, "ollama",
		       "llama3:latest llama3:70b gpt-4 tool taken:latest :latest");
	fleet_add(&fleet, "vllm", BACKEND_VLLM);
	fleet_discover(&fleet, "vllm", "phi:latest taken both:latest");
	fleet_alias(&fleet, "gpt-4", "big");
	fleet_alias(&fleet, "big", "bigger");
	fleet_alias(&fleet, "bigger", "llama3:70b");
	fleet_alias(&fleet, "short", "llama3");
	fleet_alias(&fleet, "ghost", "unlisted");
	fleet_alias(&fleet, "phi", "tool");
	table = fleet_build(&fleet, NULL);

	is_model(table, "llama3", "llama3:latest");
	is_model(table, "llama3:latest", "llama3:latest");
	is_model(table, "llama3:70b", "llama3:70b");
	is_model(table, "gpt-4", "llama3:70b");
	is_model(table, "big", "llama3:70b");
	is_model(table, "short", "llama3:latest");
	is_model(table, "taken", "taken");
	is_model(table, "phi", "tool");
	is_model(table, "both", NULL);
	is_model(table, "", NULL);
	is_model(table, "ghost", "unlisted");
	is_model(table, "unlisted", "unlisted");
	is_u64(fleet_find(table, "ghost")->n_candidates, 0, "a model that nobody lists");
	ok(fleet_find(table, "ghost")->unrouted, "is counted under its name");
	is_u64(table->n_aliases, 6, "all aliases are told");
	for (size_t i = 1; i < table->n_aliases; i++)
		ok(strcmp(table->aliases[i - 1].name, table->aliases[i].name) < 0, "%s in order",
		   table->aliases[i].name);
	is_text(table->aliases[0].name, "big", "the first alias");
	is_text(table->aliases[0].model->id, "llama3:70b", "leads to the end of its chain");
	route_table_unref(table);
	fleet_done(&fleet);
}

/* Before the Ollama has answered, an alias to its model without a tag means a model of that name;
 * afterwards it must mean the real one, and no ghost stay behind. */
static void test_late_ollama(void)
{
	struct fleet fleet;
	struct route_table *first, *second;

	fleet_init(&fleet);
	fleet_add(&fleet, "ollama", BACKEND_OLLAMA);
	fleet_alias(&fleet, "chat", "llama3");
	first = fleet_build(&fleet, NULL);
	is_model(first, "chat", "llama3");
	fleet_discover(&fleet, "ollama", "llama3:latest");
	second = fleet_build(&fleet, first);
	is_model(second, "chat", "llama3:latest");
	is_model(second, "llama3", "llama3:latest");
	is_u64(second->n_models, 1, "the name alone is no model any more");
	route_table_unref(first);
	route_table_unref(second);
	fleet_done(&fleet);
}

static void test_fallbacks(void)
{
	struct fleet fleet;
	struct route_table *table;
	const struct route_model *model;

	fleet_init(&fleet);
	fleet_add(&fleet, "ollama", BACKEND_OLLAMA);
	fleet_discover(&fleet, "ollama", "a:latest b c");
	fleet_alias(&fleet, "first", "a");
	fleet_alias(&fleet, "second", "b");
	fleet_fallback(&fleet, "first",
		       (const char *const[]){"second", "a", "nowhere", "b", "c", NULL});
	fleet_fallback(&fleet, "a:latest", (const char *const[]){"c", NULL});
	fleet_fallback(&fleet, "b", (const char *const[]){"a", NULL});
	fleet_fallback(&fleet, "absent", (const char *const[]){"b", NULL});
	table = fleet_build(&fleet, NULL);

	model = fleet_find(table, "a");
	is_u64(model->n_fallbacks, 3, "aliases are resolved; no model twice, not the model itself");
	is_text(model->fallbacks[0].model->id, "b", "in the order of the file");
	is_text(model->fallbacks[1].model->id, "nowhere", "also one that nobody lists");
	is_text(model->fallbacks[2].model->id, "c", "to the end");
	model = fleet_find(table, "b");
	is_u64(model->n_fallbacks, 1, "another model has its own");
	is_text(model->fallbacks[0].model->id, "a:latest", "named without its tag");
	is_u64(fleet_find(table, "c")->n_fallbacks, 0, "the last one has none");
	is_u64(fleet_find(table, "absent")->n_fallbacks, 1, "a model that is absent may have some");
	route_table_unref(table);
	fleet_done(&fleet);
}

/* Builds the next table and drops the one before. */
static struct route_table *rebuild(struct fleet *fleet, struct route_table *table)
{
	struct route_table *next = fleet_build(fleet, table);

	route_table_unref(table);
	return next;
}

static void is_demand(const struct route_table *table, const char *name, bool restricted,
		      uint64_t min_tier)
{
	struct demand demand = route_table_demand(table, fleet_find(table, name), str_of(name));

	ok(demand.restricted == restricted && demand.min_tier == min_tier,
	   "%s: %srestricted, tier %u", name, demand.restricted ? "" : "not ",
	   (unsigned)demand.min_tier);
}

static void test_joined_demands(void)
{
	const struct demand any = {0}, least = {.min_tier = 3},
			    only = {.min_tier = 1, .max_tier = 1},
			    above = {.min_tier = 2, .max_tier = 5};
	struct demand joined = demand_join(any, demand_join(only, least));

	ok(joined.min_tier == 3 && joined.max_tier == 1, "what contradicts is met by nobody");
	joined = demand_join(above, least);
	ok(joined.min_tier == 3 && joined.max_tier == 5, "the narrower of both limits");
	joined = demand_join(least, any);
	ok(joined.min_tier == 3 && joined.max_tier == 0, "none is none");
}

static void test_demands(void)
{
	struct fleet fleet;
	struct route_table *table;

	fleet_init(&fleet);
	fleet_add(&fleet, "a", BACKEND_OLLAMA);
	fleet_discover(&fleet, "a", "x:latest y:latest y plain");
	fleet_alias(&fleet, "one", "two");
	fleet_alias(&fleet, "two", "three");
	fleet_alias(&fleet, "three", "x");
	fleet_policy(&fleet, "two")->min_tier = 2;
	fleet_policy(&fleet, "x")->restricted = true;
	fleet_policy(&fleet, "y")->restricted = true;
	fleet_policy(&fleet, "y:*")->min_tier = 7;
	fleet_policy(&fleet, "*");
	fleet_policy(&fleet, "plain")->min_tier = 9;
	table = fleet_build(&fleet, NULL);
	is_demand(table, "one", true, 2);
	is_demand(table, "two", true, 2);
	is_demand(table, "three", true, 0);
	is_demand(table, "x", true, 0);
	is_demand(table, "x:latest", true, 0);
	is_demand(table, "y", true, 0);
	is_demand(table, "y:latest", false, 7);
	is_demand(table, "plain", false, 0);
	ok(fleet_find(table, "x")->candidates[0].demand == &fleet_find(table, "x")->demand,
	   "candidates know what their model demands");
	ok(fleet_find(table, "x")->candidates[0].restricted, "and where they are");
	route_table_unref(table);
	fleet_done(&fleet);
}

/* Where sessions look for a backend depends on what it is, not on what a process calls it. */
static void test_places(void)
{
	struct fleet fleet;
	struct route_table *table;
	const struct candidate *candidates;

	fleet_init(&fleet);
	for (const char *const *name = (const char *const[]){"g", "g@1", "g@2", "h@1", NULL}; *name;
	     name++) {
		fleet_add(&fleet, *name, BACKEND_VLLM);
		fleet_discover(&fleet, *name, "m");
	}
	fleet.backend_configs[1].address = (char *)"10.0.0.1";
	fleet.backend_configs[2].address = (char *)"10.0.0.1";
	fleet.backend_configs[3].address = (char *)"10.0.0.1";
	table = fleet_build(&fleet, NULL);
	candidates = fleet_find(table, "m")->candidates;
	ok(candidates[1].place == candidates[2].place, "an address has one, by any number");
	ok(candidates[0].place != candidates[1].place, "a name without addresses another one");
	ok(candidates[1].place != candidates[3].place, "and so has that address of another name");
	route_table_unref(table);
	fleet.backend_configs[2].address = (char *)"10.0.0.2";
	table = fleet_build(&fleet, NULL);
	candidates = fleet_find(table, "m")->candidates;
	ok(candidates[1].place != candidates[2].place, "as do two addresses of one name");
	route_table_unref(table);
	fleet_done(&fleet);
}

static void test_memory(void)
{
	struct fleet fleet;
	struct config fewer;
	struct route_table *table, *previous;
	struct model_state *state;

	fleet_init(&fleet);
	fleet_add(&fleet, "a", BACKEND_VLLM);
	fleet_discover(&fleet, "a", "kept gone moved");
	fleet_add(&fleet, "b", BACKEND_VLLM);
	fleet_discover(&fleet, "b", "kept only-b");
	table = fleet_build(&fleet, NULL);
	state = fleet_find(table, "gone")->state;
	atomic_store(&state->turn, 41);
	ok(state->first_seen_seconds > 1500000000, "it was seen at a real time");

	fleet_discover(&fleet, "a", "kept");
	fleet_discover(&fleet, "b", "kept only-b moved");
	table = rebuild(&fleet, table);
	is_model(table, "gone", "gone");
	is_text(candidates_of(table, "gone"), "", "nobody lists it now");
	is_text(candidates_of(table, "kept"), "a b", "what is listed stays");
	is_text(candidates_of(table, "moved"), "b", "what moved is where it is now");
	ok(fleet_find(table, "gone")->state == state, "its state is carried over");
	is_u64(atomic_load(&fleet_find(table, "gone")->state->turn), 41, "with its turn");

	table = rebuild(&fleet, rebuild(&fleet, table));
	is_model(table, "gone", "gone");
	fleet_discover(&fleet, "a", "kept gone");
	table = rebuild(&fleet, table);
	is_text(candidates_of(table, "gone"), "a", "it may come back");
	is_u64(fleet_find(table, "gone")->n_former, 0, "as if it had never left");
	ok(fleet_find(table, "gone")->state == state, "with the same state");
	fleet_discover(&fleet, "a", "kept");
	table = rebuild(&fleet, table);

	/* The last one is b: without it only what a listed is known. */
	fewer = fleet.config;
	fewer.references = 1;
	fewer.n_backends = 1;
	previous = table;
	table = route_table_build(&(struct route_table_inputs){
		.config = &fewer,
		.backends = fleet.backends,
		.registry = fleet.registry,
		.previous = previous,
	});
	fleet_need(table);
	route_table_unref(previous);
	is_model(table, "gone", "gone");
	is_model(table, "moved", "moved");
	is_model(table, "only-b", NULL);
	fleet_discover(&fleet, "b", "");
	table = rebuild(&fleet, table);
	is_model(table, "only-b", NULL);
	route_table_unref(table);
	fleet_done(&fleet);
}

/* `round` tells the names of one list from those of another. */
static void discover_many(struct fleet *fleet, const char *name, unsigned round, unsigned n)
{
	struct backend_model *models = calloc(n, sizeof(*models));
	char id[32];

	fleet_need(models);
	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "%s-%u-%u", name, round, i);
		models[i].id = strdup(id);
		fleet_need(models[i].id);
	}
	(void)backend_set_models(fleet_backend(fleet, name), models, n);
}

static void test_memory_has_an_end(void)
{
	struct fleet fleet;
	struct route_table *table;

	fleet_init(&fleet);
	fleet_add(&fleet, "restless", BACKEND_VLLM);
	fleet_add(&fleet, "calm", BACKEND_VLLM);
	fleet_alias(&fleet, "named", "restless-0-1");
	discover_many(&fleet, "calm", 0, LISTING_FORMER_MAX);
	table = fleet_build(&fleet, NULL);
	discover_many(&fleet, "calm", 1, 1);
	for (unsigned round = 0; round < 20; round++) {
		discover_many(&fleet, "restless", round, 600);
		table = rebuild(&fleet, table);
	}
	is_u64(table->n_models, 600 + LISTING_FORMER_MAX + 1 + LISTING_FORMER_MAX + 1,
	       "those listed, the last of those listed before, and one that an alias names");
	is_text(candidates_of(table, "restless-19-599"), "restless", "listed now");
	ok(fleet_find(table, "restless-18-0") && fleet_find(table, "restless-18-599"),
	   "the list before is known");
	is_model(table, "restless-16-0", NULL);
	is_model(table, "restless-0-0", NULL);
	is_model(table, "named", "restless-0-1");
	is_u64(fleet_find(table, "named")->n_former, 0, "only by the alias");
	ok(fleet_find(table, "calm-0-0"), "another backend's are kept");
	discover_many(&fleet, "restless", 18, 600);
	table = rebuild(&fleet, table);
	is_text(candidates_of(table, "restless-18-599"), "restless", "what comes back is listed");
	ok(fleet_find(table, "restless-19-0") && fleet_find(table, "restless-19-599"),
	   "and the list between is the youngest now");
	route_table_unref(table);
	fleet_done(&fleet);
}

struct counts {
	size_t series, a, b;
};

static void count_sample(void *context, const struct sample *sample)
{
	struct counts *counts = context;

	if (sample->metric != METRIC_REQUESTS)
		return;
	counts->series++;
	counts->a += str_eq(sample->values[1], STR_LITERAL("a"));
	counts->b += str_eq(sample->values[1], STR_LITERAL("b"));
}

static void test_birth(void)
{
	struct counts counts = {0};
	const struct snapshot_visitor visitor = {.sample = count_sample, .context = &counts};
	struct fleet fleet;
	struct route_table *table;
	int r;

	fleet_init(&fleet);
	fleet.config.metrics.birth_models = 2;
	fleet_add(&fleet, "many", BACKEND_VLLM);
	fleet_discover(&fleet, "many", "m1 m2 m3");
	fleet_add(&fleet, "a", BACKEND_VLLM);
	fleet_discover(&fleet, "a", "m1 m2");
	fleet_add(&fleet, "b", BACKEND_VLLM);
	fleet_state(&fleet, "s1");
	fleet_state(&fleet, "s2");
	fleet_state(&fleet, "s3");
	table = fleet_build(&fleet, NULL);
	r = snapshot_visit(fleet.registry, &visitor);
	is_int(r, 0, "the snapshot is taken");
	is_u64(counts.a, 2, "the few discovered models of a are born");
	is_u64(counts.b, 3, "the stated ones of b are, however many");
	is_u64(counts.series, 5, "and nothing else");
	route_table_unref(table);
	fleet_done(&fleet);
}

static void test_many(void)
{
	static struct backend_model *models;
	struct fleet fleet;
	struct route_table *table;
	char name[32];

	fleet_init(&fleet);
	for (unsigned i = 0; i < 50; i++) {
		(void)snprintf(name, sizeof(name), "backend-%u", i);
		fleet_add(&fleet, name, i % 2 ? BACKEND_OLLAMA : BACKEND_VLLM);
		models = calloc(200, sizeof(*models));
		fleet_need(models);
		for (unsigned k = 0; k < 200; k++) {
			char id[32];

			(void)snprintf(id, sizeof(id), "model-%u:latest", (i * 20 + k) % 1000);
			models[k].id = strdup(id);
			fleet_need(models[k].id);
		}
		(void)backend_set_models(fleet_backend(&fleet, name), models, 200);
	}
	table = rebuild(&fleet, fleet_build(&fleet, NULL));
	is_u64(table->n_models, 1000, "a thousand models");
	is_u64(fleet_find(table, "model-517")->n_candidates, 10, "on ten backends each");
	route_table_unref(table);
	fleet_done(&fleet);
}

static void *find_many(void *context)
{
	struct route_table *table = context;
	size_t n_found = 0;

	for (int i = 0; i < 2000; i++)
		n_found += fleet_find(table, "m") != NULL;
	route_table_unref(table);
	return n_found == 2000 ? table : NULL;
}

/* The main thread lets go of a table that a worker still uses. */
static void test_threads(void)
{
	struct fleet fleet;
	struct route_table *table;
	pthread_t worker;
	void *found = NULL;

	fleet_init(&fleet);
	fleet_add(&fleet, "a", BACKEND_VLLM);
	fleet_discover(&fleet, "a", "m");
	table = fleet_build(&fleet, NULL);
	if (pthread_create(&worker, NULL, find_many, route_table_ref(table)) == 0) {
		table = rebuild(&fleet, table);
		pthread_join(worker, &found);
	}
	ok(found, "a table lives as long as somebody holds it");
	route_table_unref(table);
	fleet_done(&fleet);
}

int main(void)
{
	test_empty();
	test_candidates();
	test_names();
	test_late_ollama();
	test_fallbacks();
	test_demands();
	test_joined_demands();
	test_places();
	test_memory();
	test_memory_has_an_end();
	test_birth();
	test_many();
	test_threads();
	return tap_done();
}
