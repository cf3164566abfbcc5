/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch over one backend: when it is checked, what its checks come to in backend->health, the
 * list of models, the metrics and the log. Owned by the prober; main thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "health/health_check.h"
#include "health/prober.h"

struct probe {
	const struct prober_inputs *inputs; /* the prober's */
	struct hash_random *random;         /* the prober's */
	struct backend *backend;            /* a reference */
	struct config *config;              /* a reference; the newest, for the next check */
	size_t index;                       /* of the backend there */

	struct health_check check;
	struct timer timer;  /* the next check */
	uint64_t started_ns; /* the last check */
	uint64_t answered;   /* backend->answered at the last good check */
	uint64_t failures;   /* in a row */
	uint64_t successes;  /* in a row */
	bool has_settled;    /* there was a result */
};

/* Nothing runs yet. `backend` gets a reference. NULL for no memory. */
struct probe *probe_new(const struct prober_inputs *inputs, struct hash_random *random,
			struct backend *backend) MUST_CHECK;
/* Cancels what runs. Accepts NULL, returns NULL. */
struct probe *probe_free(struct probe *probe);
/* From the next check on the backend is config->backends[index]. */
void probe_configure(struct probe *probe, struct config *config, size_t index);
/* Checks now, unless a check runs. */
void probe_start(struct probe *probe);
/* From time to time: checks early when a request met a dead connection. */
void probe_tick(struct probe *probe);
