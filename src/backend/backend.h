/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend as all threads see it: its name and its live state as atomics. It survives reloads by
 * name for as long as it is the same server, asked with the same key. It is freed when neither the
 * main thread nor any route table names it. Lists of models are the main thread's alone.
 */
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/breaker.h"
#include "base/attr.h"
#include "base/str.h"
#include "config/config.h"

/* Who is drained by the operator: that address of a host, or all that the host ever has. */
enum backend_drain { BACKEND_DRAIN_ADDRESS = 1, BACKEND_DRAIN_NAME = 2 };

enum backend_health { BACKEND_UNKNOWN, BACKEND_HEALTHY, BACKEND_UNHEALTHY };

/* A model as its backend, or the configuration, describes it. */
struct backend_model {
	char *id;
	uint64_t context_length; /* tokens, 0 unknown */
	enum tristate vision, tools, json_mode;
};

struct backend {
	char *name; /* immutable */
	_Atomic int references;

	_Atomic int health; /* enum backend_health; the prober writes */
	_Atomic int64_t
		pending;        /* requests that have a place there, nearly all of them in flight */
	_Atomic int64_t places; /* so many there are; 0: any number. The main thread writes */
	_Atomic uint64_t ema_usec; /* moving average of the time to the first byte, 0 none yet */
	_Atomic uint64_t answered; /* requests that got a first byte: the prober feeds the average
				      only while it stands still */
	_Atomic bool rejects_usage_option; /* it refused stream_options once */
	_Atomic bool suspect;              /* a request met a dead connection: probe early */
	_Atomic unsigned drain;            /* the operator wants no new request there:
					      enum backend_drain, or both; 0: it takes them */
	_Atomic uint64_t pause_told_ns; /* those who wait know that it is left alone until then */
	_Atomic uint64_t held_until_ns; /* it had too much to do and asked for peace; 0 never */
	struct breaker breaker;

	/* main thread only */
	uint64_t
		service; /* type, url and key as a number: with another one it is another backend */
	char address[INET6_ADDRSTRLEN]; /* what is known of a host's, in digits; "" nothing */
	struct backend_model *models;
	size_t n_models;
	uint64_t models_generation; /* counts changes of the list */
};

struct backend *backend_new(struct str name) MUST_CHECK;
struct backend *backend_ref(struct backend *backend);
/* Any thread; accepts NULL, returns NULL. */
struct backend *backend_unref(struct backend *backend);
/* Is there a reference beside the caller's? */
bool backend_is_shared(const struct backend *backend);

/* first sample sets, then (sample + 4 * old) / 5. Any thread. */
void backend_observe_latency(struct backend *backend, uint64_t usec);
static inline bool backend_is_healthy(const struct backend *backend)
{
	return atomic_load_explicit(&backend->health, memory_order_relaxed) == BACKEND_HEALTHY;
}

/* Requests in flight there, as a number to compare: between an end and the count of its beginning
 * on another thread the sum may be below 0 for a moment. */
static inline uint64_t backend_load(const struct backend *backend)
{
	int64_t pending = atomic_load_explicit(&backend->pending, memory_order_relaxed);

	return pending > 0 ? (uint64_t)pending : 0;
}

/* An optional backend counts (in gauges, /health, /v1/stats) only once it has answered a probe:
 * until then its health is BACKEND_UNKNOWN. */
bool backend_counts(const struct backend *backend, const struct backend_config *config);
static inline bool backend_is_draining(const struct backend *backend)
{
	return atomic_load_explicit(&backend->drain, memory_order_relaxed) != 0;
}
/* No new request from now on, as one or the other. Any thread; false: that was so before. */
bool backend_drain(struct backend *backend, enum backend_drain what);
/* Ends either. Any thread; false: it did not drain. */
bool backend_undrain(struct backend *backend);
/* Takes a place; false when all are taken. Any thread. */
bool backend_enter(struct backend *backend) MUST_CHECK;
/* Gives it back. */
void backend_leave(struct backend *backend);
/* Are all taken, `own` of them by who asks? */
bool backend_is_full(const struct backend *backend, int64_t own);
/* It is to be left alone until then, on clock_monotonic_ns()'s scale; the longest time wins. */
void backend_hold(struct backend *backend, uint64_t until_ns);
/* For how long yet; 0 when it is not held. Reads the clock only if it ever was. */
uint64_t backend_held_ns(const struct backend *backend);
/* The same for people, rounded up. */
uint64_t backend_held_seconds(const struct backend *backend);
/* For how long yet it is left alone, held or by its open circuit; 0 when it is not. */
uint64_t backend_pause_ns(const struct backend *backend, const struct breaker_config *breaker);
/* "draining", else "healthy", "unhealthy", "unknown" */
const char *backend_status_name(const struct backend *backend);

/* Logs what became of its circuit, if anything. */
void backend_log_circuit(const struct backend *backend, enum breaker_change change);

/* Main thread: takes the array over, sorts it by id and drops ids given twice; tells whether it
 * differs from the old one. */
bool backend_set_models(struct backend *backend, struct backend_model *models, size_t n_models);
/* Main thread: from now on it lists what `from` does. -ENOMEM. */
int backend_copy_models(struct backend *backend, const struct backend *from) MUST_CHECK;
struct backend_model *backend_models_free(struct backend_model *models, size_t n_models);
