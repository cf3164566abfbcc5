/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health checks and model discovery, on the main thread's loop: every backend of the configuration
 * in parallel, jittered. Writes backend->health, feeds nexus_backend_latency_seconds, logs
 * transitions once, and tells when a list of models changed.
 */
#pragma once

#include "backend/backends.h"
#include "base/attr.h"
#include "config/config.h"
#include "loop/loop.h"
#include "metrics/registry.h"
#include "upstream/client.h"

struct prober;

struct prober_inputs {
	struct loop *loop;
	struct client *client;
	struct backends *backends;
	struct registry *registry;
	struct slab *slab;
	/* A list of models changed, or a backend has had its first result: the route table should
	 * be built anew. It comes from the loop, never from inside prober_configure(), and must not
	 * call the prober. */
	void (*models_changed)(void *context);
	/* A backend's health is another, or has been found out, or its circuit was closed;
	 * likewise. NULL: nobody cares. */
	void (*health_changed)(void *context);
	void *context;
};

struct prober *prober_new(const struct prober_inputs *inputs) MUST_CHECK;
struct prober *prober_free(struct prober *prober);
/* Starts probing what `config` (a reference is taken) names and stops the rest; unchanged backends
 * keep their schedule, edited ones are checked at once. Backends with stated models
 * get exactly those; demo is healthy at once; an optional backend that never answered stays
 * unknown. Dropping backends from the list is the caller's. -ENOMEM leaves the old set in force. */
int prober_configure(struct prober *prober, struct config *config) MUST_CHECK;
/* True once every backend has had its first result (or its first timeout). */
bool prober_has_settled(const struct prober *prober);
