/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/bundle.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "metrics/registry_state.h"

/* The commonest first. */
static const unsigned short cached_statuses[] = {BUNDLE_STATUSES};

static char *put(char *p, const void *bytes, size_t n)
{
	if (n)
		memcpy(p, bytes, n);
	return p + n;
}

/* Its key is the model's name, its length, the backend's name: no two pairs read the same. */
static struct bundle *bundle_new(struct registry *registry, struct str model, struct str backend)
{
	size_t n = model.n + sizeof(model.n) + backend.n;
	struct bundle *bundle = calloc(1, sizeof(*bundle) + n);
	char *p;

	if (!bundle)
		return NULL;
	p = put(bundle->names, model.p, model.n);
	p = put(p, &model.n, sizeof(model.n));
	(void)put(p, backend.p, backend.n);
	bundle->registry = registry;
	bundle->model = (struct str){bundle->names, model.n};
	bundle->backend = (struct str){p, backend.n};
	bundle->key = (struct str){bundle->names, n};
	return bundle;
}

/* The one with this key, `made` or one that was there before; with the mutex. NULL for no memory.
 */
static struct bundle *find_or_keep(struct registry *registry, struct bundle *made)
{
	struct bundle *bundle = map_find(registry->bundles, made->key);

	if (!bundle && map_count(registry->bundles) >= registry->options.max_series)
		bundle = registry->other_bundle;
	if (!bundle && map_set(registry->bundles, made->key, made) == 0)
		bundle = made;
	if (bundle)
		bundle->references++;
	return bundle;
}

struct bundle *bundle_find(struct registry *registry, struct str model, struct str backend)
{
	struct bundle *made = bundle_new(registry, model, backend), *bundle;

	if (!made)
		return NULL;
	pthread_mutex_lock(&registry->mutex);
	bundle = find_or_keep(registry, made);
	pthread_mutex_unlock(&registry->mutex);
	if (bundle != made)
		free(made);
	if (bundle == registry->other_bundle)
		registry_overflow(registry, METRIC_REQUESTS, 1);
	return bundle;
}

struct bundle *bundle_unref(struct bundle *bundle)
{
	struct registry *registry = bundle ? bundle->registry : NULL;
	bool is_last;

	if (!bundle)
		return NULL;
	pthread_mutex_lock(&registry->mutex);
	is_last = --bundle->references == 0 && bundle != registry->other_bundle;
	if (is_last)
		(void)map_remove(registry->bundles, bundle->key);
	pthread_mutex_unlock(&registry->mutex);
	if (is_last)
		free(bundle);
	return NULL;
}

int bundle_init_registry(struct registry *registry)
{
	struct str other = STR_LITERAL("_other");

	registry->bundles = map_new();
	registry->other_bundle = bundle_new(registry, other, other);
	return registry->bundles && registry->other_bundle ? 0 : -ENOMEM;
}

void bundle_done_registry(struct registry *registry)
{
	size_t cursor = 0;
	struct str key;
	void *bundle;

	while (registry->bundles && map_next(registry->bundles, &cursor, &key, &bundle))
		free(bundle);
	registry->bundles = map_free(registry->bundles);
	free(registry->other_bundle);
}

/* Two threads may both look it up the first time; they find the same series. */
static const struct series *resolve(struct bundle *bundle, series_slot *slot, enum metric metric,
				    struct str own_value)
{
	const struct metric_row *row = metric_row(metric);
	struct str values[METRIC_MAX_LABELS];
	/* Pairs with the release below: the series is found whole. */
	const struct series *series = atomic_load_explicit(slot, memory_order_acquire);

	if (series)
		return series;
	for (size_t i = 0; i < row->n_labels; i++)
		values[i] = strcmp(row->labels[i], "model") == 0     ? bundle->model
			    : strcmp(row->labels[i], "backend") == 0 ? bundle->backend
								     : own_value;
	series = registry_series(bundle->registry, metric, values);
	atomic_store_explicit(slot, series, memory_order_release);
	return series;
}

/* Their number when it is not among them. */
static size_t index_of_status(unsigned status)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(cached_statuses) && cached_statuses[i] != status)
		i++;
	return i;
}

const struct series *bundle_requests(struct bundle *bundle, unsigned status)
{
	size_t i = index_of_status(status);
	series_slot once = NULL;
	series_slot *slot = i < ARRAY_SIZE(cached_statuses) ? &bundle->requests[i] : &once;
	/* Pairs with the release in resolve(), before any text is made. */
	const struct series *series = atomic_load_explicit(slot, memory_order_acquire);
	char text[16];
	int n;

	if (series)
		return series;
	n = snprintf(text, sizeof(text), "%u", status);
	return resolve(bundle, slot, METRIC_REQUESTS, (struct str){text, (size_t)n});
}

const struct series *bundle_upstream_requests(struct bundle *bundle, enum outcome outcome)
{
	return resolve(bundle, &bundle->upstream_requests[outcome], METRIC_UPSTREAM_REQUESTS,
		       str_of(outcome_name(outcome)));
}

static const struct {
	const char *value;
	enum metric metric;
	bool born;
} slots[] = {
#define X(id, metric, value, born) [BUNDLE_##id] = {value, METRIC_##metric, born},
	BUNDLE_SLOTS(X)
#undef X
};

const struct series *bundle_resolve(struct bundle *bundle, enum bundle_slot slot)
{
	return resolve(bundle, &bundle->slots[slot], slots[slot].metric, str_of(slots[slot].value));
}

void bundle_birth(struct bundle *bundle)
{
	bundle_requests(bundle, 200);
	for (int slot = 0; slot < N_BUNDLE_SLOTS; slot++)
		if (slots[slot].born)
			bundle_resolve(bundle, (enum bundle_slot)slot);
}
