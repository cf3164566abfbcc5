/* SPDX-License-Identifier: Apache-2.0 */
#include "route/route_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "base/hash.h"
#include "base/map.h"
#include "config/config_expand.h"
#include "route/listing.h"
#include "route/model_state.h"

/* Label values that stand in for what there is not. */
#define NO_BACKEND    STR_LITERAL("none")
#define UNKNOWN_MODEL STR_LITERAL("_unknown")

struct builder {
	const struct route_table_inputs *inputs;
	struct route_table *table;
	struct listings listings;
	size_t n_candidates; /* of the pools, used so far */
};

static bool take_backends(struct builder *b)
{
	const struct config *config = b->table->config;

	b->table->backends = calloc(config->n_backends + 1, sizeof(struct backend *));
	if (!b->table->backends)
		return false;
	for (size_t i = 0; i < config->n_backends; i++) {
		struct backend *backend =
			backends_obtain(b->inputs->backends, str_of(config->backends[i].name));

		if (!backend)
			return false;
		b->table->backends[i] = backend_ref(backend);
	}
	return true;
}

/* The end of the run of entries of one model that begins at `first`. */
static size_t end_of_run(const struct listings *l, size_t first)
{
	size_t end = first + 1;

	while (end < l->n && strcmp(l->entries[end].id, l->entries[first].id) == 0)
		end++;
	return end;
}

static bool allocate(struct builder *b)
{
	const struct listings *l = &b->listings;
	struct route_table *table = b->table;
	size_t n_models = 0;

	for (size_t i = 0; i < l->n; i = end_of_run(l, i))
		n_models++;
	table->models = calloc(n_models + 1, sizeof(*table->models));
	table->candidate_pool = calloc(l->n + 1, sizeof(*table->candidate_pool));
	table->n_pool = l->n;
	table->description_pool = calloc(l->n + 1, sizeof(*table->description_pool));
	table->by_name = map_new();
	return table->models && table->candidate_pool && table->description_pool && table->by_name;
}

static int compare_model_id(const void *id, const void *model)
{
	return strcmp(id, ((const struct route_model *)model)->id);
}

/* By id alone: by_name also knows aliases, which may hide a model. */
static struct route_model *find_model(const struct route_table *table, const char *id)
{
	return bsearch(id, table->models, table->n_models, sizeof(*table->models),
		       compare_model_id);
}

static struct model_state *take_state(const struct builder *b, const char *id)
{
	const struct route_table *previous = b->inputs->previous;
	const struct route_model *model = previous ? find_model(previous, id) : NULL;

	return model ? model_state_ref(model->state) : model_state_new();
}

static void describe(struct backend_model *description, const struct listing *listing, char *id)
{
	if (listing->model)
		*description = *listing->model;
	description->id = id;
}

static const struct price_config *find_price(const struct config *config, const char *model)
{
	for (size_t i = 0; i < config->n_prices; i++)
		if (glob_matches(str_of(config->prices[i].model), str_of(model)))
			return &config->prices[i];
	return NULL;
}

/* Among the sessions. The numbers in the names of addresses are each process's own. */
static uint64_t place_of(const struct backend_config *config)
{
	struct str name = {config->name, config_name_length(config)};
	uint64_t place = hash_stable(0, name);

	return config->address ? hash_stable(place, str_of(config->address)) : place;
}

static bool set_candidate(struct builder *b, struct candidate *candidate,
			  const struct route_model *model, const struct listing *listing)
{
	const struct backend_config *config = &b->table->config->backends[listing->index];
	struct backend_model *description =
		&b->table->description_pool[candidate - b->table->candidate_pool];

	describe(description, listing, model->id);
	*candidate = (struct candidate){
		.backend = b->table->backends[listing->index],
		.config = config,
		.demand = &model->demand,
		.place = place_of(config),
		.restricted = strcmp(config->zone, "restricted") == 0,
		.price = find_price(b->table->config, model->id),
		.index = listing->index,
		.last_listed = listing->last_listed,
		.model = description,
	};
	candidate->bundle = bundle_find(b->inputs->registry, str_of(model->id),
					str_of(candidate->backend->name));
	if (!candidate->bundle)
		return false;
	if (listing->birth)
		bundle_birth(candidate->bundle);
	return true;
}

/* The entries of one standing of a run, as candidates; returns how many, or -1 for no memory. */
static ssize_t add_candidates(struct builder *b, const struct route_model *model, size_t first,
			      enum listing_standing standing)
{
	size_t before = b->n_candidates, end = end_of_run(&b->listings, first);

	for (size_t i = first; i < end; i++) {
		const struct listing *listing = &b->listings.entries[i];

		if (listing->standing != standing)
			continue;
		if (!set_candidate(b, &b->table->candidate_pool[b->n_candidates], model, listing))
			return -1;
		b->n_candidates++;
	}
	return (ssize_t)(b->n_candidates - before);
}

static bool add_model(struct builder *b, size_t first)
{
	struct route_table *table = b->table;
	struct route_model *model = &table->models[table->n_models];
	ssize_t n_listed, n_former;

	model->id = str_dup(str_of(b->listings.entries[first].id));
	if (!model->id)
		return false;
	/* From here on the table frees it. */
	table->n_models++;
	model->state = take_state(b, model->id);
	model->demand = demand_of_name(table->config, str_of(model->id));
	model->unrouted = bundle_find(b->inputs->registry, str_of(model->id), NO_BACKEND);
	if (!model->state || !model->unrouted)
		return false;
	model->candidates = &table->candidate_pool[b->n_candidates];
	n_listed = add_candidates(b, model, first, LISTING_LISTED);
	n_former = n_listed < 0 ? -1 : add_candidates(b, model, first, LISTING_FORMER);
	if (n_former < 0)
		return false;
	model->n_candidates = (size_t)n_listed;
	model->n_former = (size_t)n_former;
	return true;
}

static bool add_models(struct builder *b)
{
	for (size_t i = 0; i < b->listings.n; i = end_of_run(&b->listings, i))
		if (!add_model(b, i))
			return false;
	return true;
}

static struct route_model *resolve(const struct builder *b, const char *name)
{
	struct route_model *model = find_model(b->table, listings_resolve(&b->listings, name));

	assert(model); /* listings_collect() has made an entry for every name */
	return model;
}

/* An alias of an alias stands for both: the policies for each hold. */
static struct demand demand_of_chain(const struct builder *b, const char *name)
{
	const struct alias_config *alias = listings_find_alias(&b->listings, name);
	const struct config *config = b->table->config;
	struct demand demand = {0};

	for (size_t i = 0; alias && i < config->routing.n_aliases; i++) {
		demand = demand_join(demand, demand_of_name(config, str_of(alias->name)));
		demand = demand_join(demand, demand_of_name(config, str_of(alias->model)));
		alias = listings_find_alias(&b->listings, alias->model);
	}
	return demand;
}

static bool add_aliases(struct builder *b)
{
	struct route_table *table = b->table;
	size_t n = table->config->routing.n_aliases;

	table->aliases = calloc(n + 1, sizeof(*table->aliases));
	if (!table->aliases)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct alias_config *alias = b->listings.aliases[i];

		table->aliases[i] = (struct route_alias){
			.name = alias->name,
			.demand = demand_of_chain(b, alias->name),
			.model = resolve(b, alias->name),
		};
	}
	table->n_aliases = n;
	return true;
}

/* A model is no fallback of its own, and none twice: of one with two names both hold. */
static void add_fallback(const struct builder *b, struct route_model *model, const char *name)
{
	struct route_fallback fallback = {resolve(b, name), demand_of_chain(b, name)};

	if (fallback.model == model)
		return;
	for (size_t i = 0; i < model->n_fallbacks; i++) {
		if (model->fallbacks[i].model != fallback.model)
			continue;
		model->fallbacks[i].demand =
			demand_join(model->fallbacks[i].demand, fallback.demand);
		return;
	}
	model->fallbacks[model->n_fallbacks++] = fallback;
}

static bool add_fallbacks(struct builder *b)
{
	struct route_table *table = b->table;
	const struct config *config = table->config;
	size_t n = 0;

	for (size_t i = 0; i < config->routing.n_fallbacks; i++)
		n += config->routing.fallbacks[i].n_to;
	table->fallback_pool = calloc(n + 1, sizeof(*table->fallback_pool));
	if (!table->fallback_pool)
		return false;
	n = 0;
	for (size_t i = 0; i < config->routing.n_fallbacks; i++) {
		const struct fallback_config *fallback = &config->routing.fallbacks[i];
		struct route_model *model = resolve(b, fallback->model);

		/* Two names of one model: the first list stands. */
		if (model->fallbacks)
			continue;
		model->fallbacks = &table->fallback_pool[n];
		for (size_t k = 0; k < fallback->n_to; k++)
			add_fallback(b, model, fallback->to[k]);
		n += fallback->n_to;
	}
	return true;
}

/* An Ollama model "x:latest" is also called "x", unless that is another's name. */
static bool name_latest(struct builder *b, struct route_model *model, const struct listing *first)
{
	const size_t suffix_len = sizeof(LISTING_LATEST) - 1;
	struct str name = str_of(model->id);

	if (name.n <= suffix_len)
		return true;
	name.n -= suffix_len;
	if (strcmp(name.p + name.n, LISTING_LATEST) != 0 ||
	    !listings_has_ollama(&b->listings, first) || map_find(b->table->by_name, name))
		return true;
	model->demand = demand_join(model->demand, demand_of_name(b->table->config, name));
	return map_set(b->table->by_name, name, model) == 0;
}

static bool add_names(struct builder *b)
{
	const struct listings *l = &b->listings;
	struct route_table *table = b->table;
	size_t i;

	for (i = 0; i < table->n_models; i++)
		if (map_set(table->by_name, str_of(table->models[i].id), &table->models[i]) < 0)
			return false;
	/* An alias is the operator's word and hides a model of the same name. */
	for (i = 0; i < table->n_aliases; i++)
		if (map_set(table->by_name, str_of(table->aliases[i].name),
			    table->aliases[i].model) < 0)
			return false;
	i = 0;
	for (size_t first = 0; first < l->n; first = end_of_run(l, first))
		if (!name_latest(b, &table->models[i++], &l->entries[first]))
			return false;
	return true;
}

static bool build(struct builder *b)
{
	const struct route_table_inputs *inputs = b->inputs;

	b->table->number = inputs->previous ? inputs->previous->number + 1 : 1;
	b->table->config = config_ref(inputs->config);
	b->table->unknown = bundle_find(inputs->registry, UNKNOWN_MODEL, NO_BACKEND);
	if (!b->table->unknown || !take_backends(b))
		return false;
	b->listings.config = inputs->config;
	b->listings.backends = b->table->backends;
	b->listings.previous = inputs->previous;
	b->listings.number = b->table->number;
	return listings_collect(&b->listings) == 0 && allocate(b) && add_models(b) &&
	       add_aliases(b) && add_fallbacks(b) && add_names(b);
}

struct route_table *route_table_build(const struct route_table_inputs *inputs)
{
	struct route_table *table = calloc(1, sizeof(*table));
	struct builder b = {.inputs = inputs, .table = table};
	bool built;

	if (!table)
		return NULL;
	table->references = 1;
	built = build(&b);
	listings_done(&b.listings);
	return built ? table : route_table_unref(table);
}
