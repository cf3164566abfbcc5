/* SPDX-License-Identifier: Apache-2.0 */
#include "route/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_listings(const void *left, const void *right)
{
	const struct listing *a = left, *b = right;
	int order = strcmp(a->id, b->id);

	if (order == 0)
		order = strcmp(a->backend_name, b->backend_name);
	if (order == 0)
		order = (int)a->standing - (int)b->standing;
	return order;
}

static int add_listing(struct listings *l, struct listing listing)
{
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 256;
		struct listing *listings = reallocarray(l->entries, room, sizeof(*l->entries));

		if (!listings)
			return -ENOMEM;
		l->entries = listings;
		l->room = room;
	}
	l->entries[l->n++] = listing;
	return 0;
}

/* Sorts all listings and leaves one per model and backend. */
static void sort_listings(struct listings *l)
{
	size_t kept = 0;

	if (l->n > 0)
		qsort(l->entries, l->n, sizeof(*l->entries), compare_listings);
	for (size_t i = 0; i < l->n; i++) {
		const struct listing *last = kept ? &l->entries[kept - 1] : NULL;

		if (!last || strcmp(last->id, l->entries[i].id) != 0 ||
		    last->index != l->entries[i].index)
			l->entries[kept++] = l->entries[i];
	}
	l->n = l->n_sorted = kept;
}

static int list_models_of_backend(struct listings *l, size_t index)
{
	const struct backend_config *config = &l->config->backends[index];
	const struct backend *backend = l->backends[index];
	/* A backend that lists thousands must not make as many series that nobody uses. */
	bool birth = config->n_models > 0 || backend->n_models <= l->config->metrics.birth_models;
	struct listing listing = {
		.backend_name = config->name,
		.index = index,
		.birth = birth,
		.last_listed = l->number,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < backend->n_models; i++) {
		listing.id = backend->models[i].id;
		listing.model = &backend->models[i];
		r = add_listing(l, listing);
	}
	return r;
}

static int list_models(struct listings *l)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->config->n_backends; i++)
		r = list_models_of_backend(l, i);
	return r;
}

struct place {
	const struct backend *backend;
	size_t index;
};

static int compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	uintptr_t p = (uintptr_t)a->backend, q = (uintptr_t)b->backend;

	return (p > q) - (p < q);
}

static int list_former_of_model(struct listings *l, const struct route_model *model,
				const struct place *places)
{
	size_t n_backends = l->config->n_backends;

	for (size_t i = 0; i < model->n_candidates + model->n_former; i++) {
		struct place key = {.backend = model->candidates[i].backend};
		const struct place *place =
			bsearch(&key, places, n_backends, sizeof(*places), compare_places);
		struct listing listing = {.id = model->id, .standing = LISTING_FORMER};

		if (!place)
			continue;
		listing.index = place->index;
		listing.backend_name = l->config->backends[place->index].name;
		listing.last_listed = model->candidates[i].last_listed;
		if (add_listing(l, listing) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* What the previous table knew, for as long as a backend that listed it is still configured. The
 * live state of a backend survives a reload, so the same one is found by its address. */
static int list_former_models(struct listings *l)
{
	const struct route_table *previous = l->previous;
	size_t n_backends = l->config->n_backends;
	struct place *places;
	int r = 0;

	if (!previous || n_backends == 0)
		return 0;
	places = calloc(n_backends, sizeof(*places));
	if (!places)
		return -ENOMEM;
	for (size_t i = 0; i < n_backends; i++)
		places[i] = (struct place){l->backends[i], i};
	qsort(places, n_backends, sizeof(*places), compare_places);
	for (size_t i = 0; r == 0 && i < previous->n_models; i++)
		r = list_former_of_model(l, &previous->models[i], places);
	free(places);
	return r;
}

/* Of each backend the former ones stand together, the latest first. */
static int compare_ages(const void *left, const void *right)
{
	const struct listing *a = left, *b = right;

	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	if (a->standing != b->standing)
		return (int)a->standing - (int)b->standing;
	if (a->last_listed != b->last_listed)
		return a->last_listed > b->last_listed ? -1 : 1;
	return strcmp(a->id, b->id);
}

static size_t count_former(const struct listings *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->entries[i].standing == LISTING_FORMER;
	return n;
}

/* A backend may list other models with each check, for ever. */
static void forget_oldest(struct listings *l)
{
	size_t kept = 0, n_former = 0;

	if (count_former(l) <= LISTING_FORMER_MAX)
		return;
	qsort(l->entries, l->n, sizeof(*l->entries), compare_ages);
	for (size_t i = 0; i < l->n; i++) {
		const struct listing entry = l->entries[i];

		if (i == 0 || entry.index != l->entries[i - 1].index)
			n_former = 0;
		n_former += entry.standing == LISTING_FORMER;
		if (entry.standing != LISTING_FORMER || n_former <= LISTING_FORMER_MAX)
			l->entries[kept++] = entry;
	}
	l->n = kept;
	sort_listings(l);
}

static int compare_aliases(const void *left, const void *right)
{
	const struct alias_config *const *a = left, *const *b = right;

	return strcmp((*a)->name, (*b)->name);
}

static int compare_name_with_alias(const void *name, const void *alias)
{
	const struct alias_config *const *a = alias;

	return strcmp(name, (*a)->name);
}

static int sort_aliases(struct listings *l)
{
	size_t n = l->config->routing.n_aliases;

	l->aliases = calloc(n + 1, sizeof(const struct alias_config *));
	if (!l->aliases)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		l->aliases[i] = &l->config->routing.aliases[i];
	qsort(l->aliases, n, sizeof(const struct alias_config *), compare_aliases);
	return 0;
}

const struct alias_config *listings_find_alias(const struct listings *l, const char *name)
{
	const struct alias_config **alias =
		bsearch(name, l->aliases, l->config->routing.n_aliases,
			sizeof(const struct alias_config *), compare_name_with_alias);

	return alias ? *alias : NULL;
}

static const char *follow_aliases(const struct listings *l, const char *name)
{
	size_t n = l->config->routing.n_aliases;

	/* The configuration has no cycles; with the bound, nothing here hangs on that. */
	for (size_t hops = 0; hops < n; hops++) {
		const struct alias_config *alias = listings_find_alias(l, name);

		if (!alias)
			break;
		name = alias->model;
	}
	return name;
}

/* strcmp() of `name` with `suffix` behind it, and `other`. */
static int compare_joined(const char *name, const char *suffix, const char *other)
{
	size_t n = strlen(name);
	int order = strncmp(name, other, n);

	return order != 0 ? order : strcmp(suffix, other + n);
}

/* The first of the sorted listings of the model `name` + `suffix`, or NULL. */
static const struct listing *find_listing(const struct listings *l, const char *name,
					  const char *suffix)
{
	size_t low = 0, high = l->n_sorted;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_joined(name, suffix, l->entries[middle].id) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == l->n_sorted || compare_joined(name, suffix, l->entries[low].id) != 0)
		return NULL;
	return &l->entries[low];
}

bool listings_has_ollama(const struct listings *l, const struct listing *first)
{
	const struct listing *end = l->entries + l->n_sorted;

	for (const struct listing *e = first; e < end && strcmp(e->id, first->id) == 0; e++)
		if (e->index != LISTING_NO_BACKEND &&
		    l->config->backends[e->index].type == BACKEND_OLLAMA)
			return true;
	return false;
}

const char *listings_resolve(const struct listings *l, const char *name)
{
	const char *id = follow_aliases(l, name);
	const struct listing *latest;

	if (find_listing(l, id, ""))
		return id;
	latest = find_listing(l, id, LISTING_LATEST);
	return latest && listings_has_ollama(l, latest) ? latest->id : id;
}

static int list_name(struct listings *l, const char *name)
{
	const char *id = listings_resolve(l, name);

	if (find_listing(l, id, ""))
		return 0;
	return add_listing(l, (struct listing){.id = id,
					       .backend_name = "",
					       .index = LISTING_NO_BACKEND,
					       .standing = LISTING_NAMED});
}

/* Aliases and fallbacks may name models that nobody lists: those are known, without a backend. */
static int list_named_models(struct listings *l)
{
	const struct config *config = l->config;
	int r = 0;

	for (size_t i = 0; r == 0 && i < config->routing.n_aliases; i++)
		r = list_name(l, config->routing.aliases[i].name);
	for (size_t i = 0; r == 0 && i < config->routing.n_fallbacks; i++) {
		const struct fallback_config *fallback = &config->routing.fallbacks[i];

		r = list_name(l, fallback->model);
		for (size_t k = 0; r == 0 && k < fallback->n_to; k++)
			r = list_name(l, fallback->to[k]);
	}
	return r;
}

int listings_collect(struct listings *l)
{
	if (sort_aliases(l) < 0 || list_models(l) < 0 || list_former_models(l) < 0)
		return -ENOMEM;
	sort_listings(l);
	forget_oldest(l);
	if (list_named_models(l) < 0)
		return -ENOMEM;
	sort_listings(l);
	return 0;
}

void listings_done(struct listings *l)
{
	free(l->entries);
	free(l->aliases);
}
