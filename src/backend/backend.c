/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/backend.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

struct backend *backend_new(struct str name)
{
	struct backend *backend = calloc(1, sizeof(*backend));

	if (!backend)
		return NULL;
	backend->name = str_dup(name);
	if (!backend->name) {
		free(backend);
		return NULL;
	}
	backend->references = 1;
	return backend;
}

struct backend *backend_ref(struct backend *backend)
{
	int before = atomic_fetch_add_explicit(&backend->references, 1, memory_order_relaxed);

	assert(before > 0);
	(void)before;
	return backend;
}

struct backend *backend_unref(struct backend *backend)
{
	if (!backend)
		return NULL;
	/* Release what this thread did with it; the last one acquires what all others did. */
	if (atomic_fetch_sub_explicit(&backend->references, 1, memory_order_acq_rel) > 1)
		return NULL;
	backend_models_free(backend->models, backend->n_models);
	free(backend->name);
	free(backend);
	return NULL;
}

bool backend_is_shared(const struct backend *backend)
{
	return atomic_load_explicit(&backend->references, memory_order_acquire) > 1;
}

void backend_observe_latency(struct backend *backend, uint64_t usec)
{
	uint64_t old = atomic_load_explicit(&backend->ema_usec, memory_order_relaxed);
	uint64_t average;

	/* The ceiling keeps the sum below from overflowing; 0 would mean that there is none yet. */
	if (usec > UINT32_MAX)
		usec = UINT32_MAX;
	do {
		average = old == 0 ? usec : (usec + 4 * old) / 5;
		if (average == 0)
			average = 1;
	} while (!atomic_compare_exchange_weak_explicit(
		&backend->ema_usec, &old, average, memory_order_relaxed, memory_order_relaxed));
}

static int compare_ids(const void *left, const void *right)
{
	const struct backend_model *a = left, *b = right;

	return strcmp(a->id, b->id);
}

/* Drops all but one of the entries with equal ids of a sorted array; returns how many are left. */
static size_t drop_duplicates(struct backend_model *models, size_t n_models)
{
	size_t kept = 0;

	for (size_t i = 0; i < n_models; i++) {
		if (kept > 0 && strcmp(models[kept - 1].id, models[i].id) == 0)
			free(models[i].id);
		else
			models[kept++] = models[i];
	}
	return kept;
}

static bool is_same_model(const struct backend_model *a, const struct backend_model *b)
{
	return strcmp(a->id, b->id) == 0 && a->context_length == b->context_length &&
	       a->vision == b->vision && a->tools == b->tools && a->json_mode == b->json_mode;
}

static bool has_models(const struct backend *backend, const struct backend_model *models,
		       size_t n_models)
{
	if (backend->n_models != n_models)
		return false;
	for (size_t i = 0; i < n_models; i++)
		if (!is_same_model(&backend->models[i], &models[i]))
			return false;
	return true;
}

bool backend_set_models(struct backend *backend, struct backend_model *models, size_t n_models)
{
	if (n_models > 0)
		qsort(models, n_models, sizeof(*models), compare_ids);
	n_models = drop_duplicates(models, n_models);
	if (has_models(backend, models, n_models)) {
		backend_models_free(models, n_models);
		return false;
	}
	backend_models_free(backend->models, backend->n_models);
	backend->models = models;
	backend->n_models = n_models;
	backend->models_generation++;
	return true;
}

int backend_copy_models(struct backend *backend, const struct backend *from)
{
	struct backend_model *models = calloc(from->n_models + 1, sizeof(*models));

	if (!models)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_models; i++) {
		models[i] = from->models[i];
		models[i].id = str_dup(str_of(from->models[i].id));
		if (!models[i].id) {
			backend_models_free(models, i);
			return -ENOMEM;
		}
	}
	(void)backend_set_models(backend, models, from->n_models);
	return 0;
}

struct backend_model *backend_models_free(struct backend_model *models, size_t n_models)
{
	for (size_t i = 0; i < n_models; i++)
		free(models[i].id);
	free(models);
	return NULL;
}

bool backend_drain(struct backend *backend, enum backend_drain what)
{
	return atomic_fetch_or_explicit(&backend->drain, what, memory_order_relaxed) == 0;
}

bool backend_undrain(struct backend *backend)
{
	return atomic_exchange_explicit(&backend->drain, 0, memory_order_relaxed) != 0;
}

bool backend_counts(const struct backend *backend, const struct backend_config *config)
{
	return !config->optional ||
	       atomic_load_explicit(&backend->health, memory_order_relaxed) != BACKEND_UNKNOWN;
}

bool backend_enter(struct backend *backend)
{
	int64_t places = atomic_load_explicit(&backend->places, memory_order_relaxed);
	/* With backend_leave() and the queue's depth: see is_empty() in route/queue.c. */
	int64_t pending = atomic_load_explicit(&backend->pending, memory_order_seq_cst);

	do {
		if (places > 0 && pending >= places)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&backend->pending, &pending, pending + 1,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

void backend_leave(struct backend *backend)
{
	atomic_fetch_sub_explicit(&backend->pending, 1, memory_order_seq_cst);
}

bool backend_is_full(const struct backend *backend, int64_t own)
{
	int64_t places = atomic_load_explicit(&backend->places, memory_order_relaxed);

	return places > 0 &&
	       atomic_load_explicit(&backend->pending, memory_order_relaxed) - own >= places;
}

void backend_hold(struct backend *backend, uint64_t until_ns)
{
	uint64_t before = atomic_load_explicit(&backend->held_until_ns, memory_order_relaxed);

	while (before < until_ns &&
	       !atomic_compare_exchange_weak_explicit(&backend->held_until_ns, &before, until_ns,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

uint64_t backend_held_ns(const struct backend *backend)
{
	uint64_t until = atomic_load_explicit(&backend->held_until_ns, memory_order_relaxed);
	uint64_t now = until ? clock_monotonic_ns() : 0;

	return until > now ? until - now : 0;
}

uint64_t backend_held_seconds(const struct backend *backend)
{
	return (backend_held_ns(backend) + NS_PER_SEC - 1) / NS_PER_SEC;
}

uint64_t backend_pause_ns(const struct backend *backend, const struct breaker_config *breaker)
{
	uint64_t held_ns = backend_held_ns(backend);
	uint64_t open_ns = breaker_wait_ns(&backend->breaker, breaker);

	return held_ns > open_ns ? held_ns : open_ns;
}

void backend_log_circuit(const struct backend *backend, enum breaker_change change)
{
	const struct log_field field = {NEXUSD_FIELD_BACKEND, backend->name};

	if (change == BREAKER_OPENS)
		log_event_with(MESSAGE_CIRCUIT_OPEN, &field, 1,
			       "backend %s: too many requests fail, its circuit is open",
			       backend->name);
	else if (change == BREAKER_CLOSES)
		log_event_with(MESSAGE_CIRCUIT_CLOSED, &field, 1,
			       "backend %s: answers again, its circuit is closed", backend->name);
}

const char *backend_status_name(const struct backend *backend)
{
	if (backend_is_draining(backend))
		return "draining";
	switch ((enum backend_health)atomic_load_explicit(&backend->health, memory_order_relaxed)) {
	case BACKEND_HEALTHY:
		return "healthy";
	case BACKEND_UNHEALTHY:
		return "unhealthy";
	case BACKEND_UNKNOWN:
		break;
	}
	return "unknown";
}
