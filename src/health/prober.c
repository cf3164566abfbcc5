/* SPDX-License-Identifier: Apache-2.0 */
#include "health/prober.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"
#include "health/probe.h"

#define TICK_NS    (250 * NS_PER_MSEC)
#define DEMO_MODEL "demo"

struct prober {
	struct prober_inputs inputs;
	struct hash_random random;
	struct config *config; /* a reference, or NULL before the first one */
	struct probe **probes; /* one per config->backends; NULL for a demo */
	struct timer tick;
};

/* One backend of the set that is being prepared. */
struct plan {
	struct backend *backend; /* of the list of backends */
	struct probe *probe;
	bool is_new;                  /* the probe was made for this set */
	struct backend_model *models; /* to be taken over, when there are any */
	size_t n_models;
};

static bool is_demo(const struct backend_config *config)
{
	return config->type == BACKEND_DEMO;
}

static bool is_same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Would the checks go there in the same way, and mean the same? */
static bool is_same_check(const struct backend_config *a, const struct backend_config *b)
{
	return a->type == b->type && is_same_text(a->url, b->url) &&
	       is_same_text(a->address, b->address) &&
	       is_same_text(a->authorization, b->authorization) &&
	       is_same_text(a->ca_file, b->ca_file) && a->optional == b->optional &&
	       (a->n_models > 0) == (b->n_models > 0);
}

static void tick_fire(struct timer *timer)
{
	struct prober *prober = container_of(timer, struct prober, tick);

	for (size_t i = 0; i < prober->config->n_backends; i++)
		if (prober->probes[i])
			probe_tick(prober->probes[i]);
	/* The slot of the timer that has just fired is free: this needs no memory. */
	(void)!loop_timer_set(prober->inputs.loop, timer, clock_monotonic_ns() + TICK_NS);
}

struct prober *prober_new(const struct prober_inputs *inputs)
{
	struct prober *prober = calloc(1, sizeof(*prober));

	if (!prober)
		return NULL;
	prober->inputs = *inputs;
	hash_random_init(&prober->random, hash_seed_new());
	timer_init(&prober->tick, tick_fire);
	return prober;
}

static void free_probes(struct prober *prober)
{
	for (size_t i = 0; prober->probes && i < prober->config->n_backends; i++)
		probe_free(prober->probes[i]);
	free(prober->probes);
	prober->probes = NULL;
}

struct prober *prober_free(struct prober *prober)
{
	if (!prober)
		return NULL;
	loop_timer_clear(prober->inputs.loop, &prober->tick);
	free_probes(prober);
	config_unref(prober->config);
	free(prober);
	return NULL;
}

static int copy_stated_models(const struct backend_config *config, struct plan *plan)
{
	plan->models = calloc(config->n_models, sizeof(*plan->models));
	if (!plan->models)
		return -ENOMEM;
	for (; plan->n_models < config->n_models; plan->n_models++) {
		const struct model_config *stated = &config->models[plan->n_models];
		char *id = str_dup(str_of(stated->id));

		if (!id)
			return -ENOMEM;
		plan->models[plan->n_models] = (struct backend_model){
			.id = id,
			.context_length = stated->context_length,
			.vision = stated->vision,
			.tools = stated->tools,
			.json_mode = stated->json_mode,
		};
	}
	return 0;
}

static int make_demo_model(struct plan *plan)
{
	plan->models = calloc(1, sizeof(*plan->models));
	if (!plan->models)
		return -ENOMEM;
	plan->models[0].id = str_dup(STR_LITERAL(DEMO_MODEL));
	if (!plan->models[0].id)
		return -ENOMEM;
	plan->models[0].vision = TRISTATE_NO;
	plan->n_models = 1;
	return 0;
}

static int plan_backend(struct prober *prober, const struct backend_config *config,
			const struct map *old_probes, struct plan *plan)
{
	struct probe *old = map_find(old_probes, str_of(config->name));
	int r = 0;

	plan->backend = backends_obtain(prober->inputs.backends, str_of(config->name));
	if (!plan->backend)
		return -ENOMEM;
	if (config->n_models > 0)
		r = copy_stated_models(config, plan);
	else if (is_demo(config))
		r = make_demo_model(plan);
	if (r < 0 || is_demo(config))
		return r;
	if (old && old->backend == plan->backend &&
	    is_same_check(&old->config->backends[old->index], config)) {
		plan->probe = old;
		return 0;
	}
	plan->probe = probe_new(&prober->inputs, &prober->random, plan->backend);
	plan->is_new = plan->probe != NULL;
	return plan->probe ? 0 : -ENOMEM;
}

static int plan_backends(struct prober *prober, const struct config *config, struct plan *plans)
{
	struct map *old_probes = map_new();
	size_t n_old = prober->config ? prober->config->n_backends : 0;
	int r = old_probes ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n_old; i++)
		if (prober->probes[i])
			r = map_set(old_probes, str_of(prober->probes[i]->backend->name),
				    prober->probes[i]);
	for (size_t i = 0; r == 0 && i < config->n_backends; i++)
		r = plan_backend(prober, &config->backends[i], old_probes, &plans[i]);
	map_free(old_probes);
	return r;
}

static void drop_plans(struct plan *plans, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		backend_models_free(plans[i].models, plans[i].n_models);
		if (plans[i].is_new)
			probe_free(plans[i].probe);
	}
	free(plans);
}

/* The checks need the tick for as long as there are any. */
static int arm_tick(struct prober *prober, const struct config *config)
{
	bool is_wanted = false;

	for (size_t i = 0; i < config->n_backends; i++)
		is_wanted |= !is_demo(&config->backends[i]);
	if (is_wanted)
		return loop_timer_set(prober->inputs.loop, &prober->tick,
				      clock_monotonic_ns() + TICK_NS);
	loop_timer_clear(prober->inputs.loop, &prober->tick);
	return 0;
}

static void put_in_force(struct config *config, size_t index, const struct plan *plan)
{
	struct backend *backend = plan->backend;

	if (plan->models)
		(void)backend_set_models(backend, plan->models, plan->n_models);
	if (!plan->probe) {
		atomic_store_explicit(&backend->health, BACKEND_HEALTHY, memory_order_relaxed);
		return;
	}
	probe_configure(plan->probe, config, index);
	if (plan->is_new)
		probe_start(plan->probe);
}

int prober_configure(struct prober *prober, struct config *config)
{
	size_t n = config->n_backends;
	struct plan *plans = calloc(n + 1, sizeof(*plans));
	struct probe **probes = calloc(n + 1, sizeof(struct probe *));

	if (!plans || !probes || plan_backends(prober, config, plans) < 0 ||
	    arm_tick(prober, config) < 0) {
		drop_plans(plans, plans ? n : 0);
		free(probes);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		probes[i] = plans[i].probe;
		if (probes[i] && !plans[i].is_new)
			prober->probes[probes[i]->index] = NULL;
	}
	free_probes(prober);
	config_unref(prober->config);
	prober->config = config_ref(config);
	prober->probes = probes;
	for (size_t i = 0; i < n; i++)
		put_in_force(config, i, &plans[i]);
	free(plans);
	return 0;
}

bool prober_has_settled(const struct prober *prober)
{
	for (size_t i = 0; prober->config && i < prober->config->n_backends; i++)
		if (prober->probes[i] && !prober->probes[i]->has_settled)
			return false;
	return prober->config != NULL;
}
