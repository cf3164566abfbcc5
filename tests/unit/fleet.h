/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of routing: a configuration filled by hand, its backends with what they list, and route
 * tables built from them. Out of memory ends the test.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "route/route_table.h"

#define FLEET_MAX 128

struct fleet {
	struct config config; /* never freed by its references: the fleet holds one */
	struct backend_config backend_configs[FLEET_MAX];
	struct alias_config aliases[FLEET_MAX];
	struct fallback_config fallbacks[FLEET_MAX];
	struct policy_config policies[FLEET_MAX];
	struct backends *backends;
	struct registry *registry;
};

static void fleet_need(const void *pointer)
{
	if (pointer)
		return;
	printf("Bail out! no memory\n");
	exit(99);
}

UNUSED static void fleet_init(struct fleet *fleet)
{
	const struct registry_options options = {
		.max_series = 50000,
		.max_series_per_family = 50000,
	};

	*fleet = (struct fleet){.config = {.references = 1}};
	fleet->config.backends = fleet->backend_configs;
	fleet->config.routing.aliases = fleet->aliases;
	fleet->config.routing.fallbacks = fleet->fallbacks;
	fleet->config.routing.policies = fleet->policies;
	fleet->config.routing.strategy = STRATEGY_ROUND_ROBIN;
	fleet->config.routing.max_retries = 2;
	fleet->config.routing.weights.priority = 50;
	fleet->config.routing.weights.load = 30;
	fleet->config.routing.weights.latency = 20;
	fleet->config.health.interval = 30000000000u;
	fleet->config.metrics.birth_models = 32;
	fleet->backends = backends_new();
	fleet->registry = registry_new(&options);
	fleet_need(fleet->backends);
	fleet_need(fleet->registry);
}

UNUSED static void fleet_done(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->config.n_backends; i++) {
		free(fleet->backend_configs[i].name);
		for (size_t k = 0; k < fleet->backend_configs[i].n_models; k++)
			free(fleet->backend_configs[i].models[k].id);
		free(fleet->backend_configs[i].models);
	}
	for (size_t i = 0; i < fleet->config.routing.n_fallbacks; i++)
		free(fleet->fallbacks[i].to);
	backends_free(fleet->backends);
	registry_free(fleet->registry);
}

UNUSED static struct backend_config *fleet_add(struct fleet *fleet, const char *name,
					       enum backend_type type)
{
	struct backend_config *config = &fleet->backend_configs[fleet->config.n_backends++];

	*config = (struct backend_config){
		.name = strdup(name),
		.type = type,
		.priority = 50,
		.weight = 1,
		.tier = 1,
		.zone = (char *)(backend_type_is_local(type) ? "restricted" : "open"),
	};
	fleet_need(config->name);
	return config;
}

/* The live state; made when it is not there yet. */
UNUSED static struct backend *fleet_backend(struct fleet *fleet, const char *name)
{
	struct backend *backend = backends_obtain(fleet->backends, str_of(name));

	fleet_need(backend);
	return backend;
}

UNUSED static void fleet_set_health(struct fleet *fleet, const char *name,
				    enum backend_health health)
{
	atomic_store(&fleet_backend(fleet, name)->health, health);
}

/* What a health check found: ids with blanks between them. */
UNUSED static void fleet_discover(struct fleet *fleet, const char *name, const char *ids)
{
	struct backend_model *models = calloc(FLEET_MAX, sizeof(*models));
	struct str rest = str_of(ids);
	size_t n = 0;

	fleet_need(models);
	while (rest.n > 0) {
		models[n].id = str_dup(str_split(&rest, ' '));
		fleet_need(models[n++].id);
	}
	(void)backend_set_models(fleet_backend(fleet, name), models, n);
}

/* A model in the configuration of the backend that was added last. */
UNUSED static struct model_config *fleet_state(struct fleet *fleet, const char *id)
{
	struct backend_config *config = &fleet->backend_configs[fleet->config.n_backends - 1];
	struct model_config *models =
		reallocarray(config->models, config->n_models + 1, sizeof(*models));

	fleet_need(models);
	config->models = models;
	models[config->n_models] = (struct model_config){.id = strdup(id)};
	fleet_need(models[config->n_models].id);
	return &models[config->n_models++];
}

UNUSED static void fleet_alias(struct fleet *fleet, const char *name, const char *model)
{
	fleet->aliases[fleet->config.routing.n_aliases++] =
		(struct alias_config){.name = (char *)name, .model = (char *)model};
}

UNUSED static struct policy_config *fleet_policy(struct fleet *fleet, const char *match)
{
	struct policy_config *policy = &fleet->policies[fleet->config.routing.n_policies++];

	*policy = (struct policy_config){.match = (char *)match};
	return policy;
}

/* `to` must end with NULL. */
UNUSED static void fleet_fallback(struct fleet *fleet, const char *model, const char *const *to)
{
	struct fallback_config *fallback = &fleet->fallbacks[fleet->config.routing.n_fallbacks++];

	*fallback = (struct fallback_config){.model = (char *)model};
	while (to[fallback->n_to])
		fallback->n_to++;
	fallback->to = calloc(fallback->n_to, sizeof(char *));
	fleet_need(fallback->to);
	for (size_t i = 0; i < fallback->n_to; i++)
		fallback->to[i] = (char *)to[i];
}

/* As the prober does before a table is built. */
static void fleet_put_stated(struct fleet *fleet, const struct backend_config *config)
{
	struct backend_model *models = calloc(config->n_models, sizeof(*models));

	fleet_need(models);
	for (size_t i = 0; i < config->n_models; i++) {
		const struct model_config *stated = &config->models[i];

		models[i] = (struct backend_model){
			.id = strdup(stated->id),
			.context_length = stated->context_length,
			.vision = stated->vision,
			.tools = stated->tools,
			.json_mode = stated->json_mode,
		};
		fleet_need(models[i].id);
	}
	(void)backend_set_models(fleet_backend(fleet, config->name), models, config->n_models);
}

UNUSED static struct route_table *fleet_build(struct fleet *fleet,
					      const struct route_table *previous)
{
	const struct route_table_inputs inputs = {
		.config = &fleet->config,
		.backends = fleet->backends,
		.registry = fleet->registry,
		.previous = previous,
	};
	struct route_table *table;

	for (size_t i = 0; i < fleet->config.n_backends; i++)
		if (fleet->backend_configs[i].n_models > 0)
			fleet_put_stated(fleet, &fleet->backend_configs[i]);
	table = route_table_build(&inputs);
	fleet_need(table);
	return table;
}

UNUSED static struct route_model *fleet_find(const struct route_table *table, const char *name)
{
	return route_table_find(table, str_of(name));
}
