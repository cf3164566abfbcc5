/* SPDX-License-Identifier: Apache-2.0 */
#include "health/probe.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

/* A backend that fails under traffic is suspected with every request. */
#define EARLY_SPACING_NS (NS_PER_SEC / 2)

static const struct backend_config *backend_config(const struct probe *probe)
{
	return &probe->config->backends[probe->index];
}

static enum backend_health health_of(const struct probe *probe)
{
	return (enum backend_health)atomic_load_explicit(&probe->backend->health,
							 memory_order_relaxed);
}

static void log_healthy(const struct probe *probe)
{
	const struct log_field fields[] = {
		{NEXUSD_FIELD_BACKEND, probe->backend->name},
	};

	log_event_with(MESSAGE_BACKEND_HEALTHY, fields, ARRAY_SIZE(fields), "backend %s is healthy",
		       probe->backend->name);
}

static void log_unhealthy(const struct probe *probe, const struct health_check_result *result)
{
	const struct log_field fields[] = {
		{NEXUSD_FIELD_BACKEND, probe->backend->name},
		{NEXUSD_FIELD_REASON, outcome_name(result->outcome)},
	};

	log_event_with(MESSAGE_BACKEND_UNHEALTHY, fields, ARRAY_SIZE(fields),
		       "backend %s is unhealthy: %s", probe->backend->name, result->detail);
}

static void log_absent(const struct probe *probe, const struct health_check_result *result)
{
	const struct log_field fields[] = {
		{NEXUSD_FIELD_BACKEND, probe->backend->name},
		{NEXUSD_FIELD_REASON, outcome_name(result->outcome)},
	};

	log_event_with(MESSAGE_BACKEND_ABSENT, fields, ARRAY_SIZE(fields),
		       "optional backend %s is not there: %s", probe->backend->name,
		       result->detail);
}

static void set_health(struct probe *probe, enum backend_health health)
{
	atomic_store_explicit(&probe->backend->health, health, memory_order_relaxed);
}

static void count(const struct probe *probe, enum outcome outcome)
{
	const struct str values[] = {str_of(probe->backend->name), str_of(outcome_name(outcome))};

	slab_add(probe->inputs->slab,
		 registry_series(probe->inputs->registry, METRIC_HEALTH_CHECKS, values), 1);
}

static void observe_latency(struct probe *probe, const struct health_check_result *result)
{
	const struct str name = str_of(probe->backend->name);
	uint64_t answered = atomic_load_explicit(&probe->backend->answered, memory_order_relaxed);

	slab_observe(probe->inputs->slab,
		     registry_series(probe->inputs->registry, METRIC_BACKEND_LATENCY, &name),
		     result->total_ns);
	/* Real requests know better how fast it is, as long as there are any. */
	if (answered == probe->answered)
		backend_observe_latency(probe->backend, result->first_byte_ns / NS_PER_USEC);
	probe->answered = answered;
}

/* Tells whether requests may go there that could not. */
static bool close_circuit(struct probe *probe)
{
	struct backend *backend = probe->backend;
	enum breaker_change change = breaker_checked(&backend->breaker, &probe->config->breaker);

	backend_log_circuit(backend, change);
	if (change == BREAKER_CLOSES)
		atomic_store_explicit(&backend->pause_told_ns, 0, memory_order_relaxed);
	return change == BREAKER_CLOSES;
}

static void succeed(struct probe *probe, const struct health_check_result *result)
{
	enum backend_health health = health_of(probe);

	observe_latency(probe, result);
	probe->failures = 0;
	probe->successes++;
	if (health == BACKEND_HEALTHY ||
	    (health == BACKEND_UNHEALTHY && probe->successes < probe->config->health.successes))
		return;
	set_health(probe, BACKEND_HEALTHY);
	breaker_make_due(&probe->backend->breaker);
	/* It may have come back as another version. */
	atomic_store_explicit(&probe->backend->rejects_usage_option, false, memory_order_relaxed);
	log_healthy(probe);
}

static void fail(struct probe *probe, const struct health_check_result *result)
{
	enum backend_health health = health_of(probe);

	probe->successes = 0;
	probe->failures++;
	if (health == BACKEND_UNKNOWN && backend_config(probe)->optional) {
		/* It stays unknown: that it is absent is no fault. */
		if (!probe->has_settled)
			log_absent(probe, result);
		return;
	}
	/* The first result decides at once, whatever was believed before. */
	if (health == BACKEND_UNHEALTHY || (health == BACKEND_HEALTHY && probe->has_settled &&
					    probe->failures < probe->config->health.failures))
		return;
	set_health(probe, BACKEND_UNHEALTHY);
	log_unhealthy(probe, result);
}

/* Tells whether the backend's list is another now. */
static bool take_list(struct probe *probe)
{
	struct backend_model *models;

	/* Stated models are the whole truth, and without memory the old list does for now. */
	if (backend_config(probe)->n_models > 0 || model_list_copy(&probe->check.list, &models) < 0)
		return false;
	return backend_set_models(probe->backend, models, probe->check.list.n);
}

static void on_judged(struct health_check *check, const struct health_check_result *result)
{
	struct probe *probe = container_of(check, struct probe, check);
	enum backend_health before = health_of(probe);
	bool changed = !probe->has_settled, is_usable_again = false;

	count(probe, result->outcome);
	if (result->outcome == OUTCOME_OK) {
		succeed(probe, result);
		is_usable_again = close_circuit(probe);
		changed |= take_list(probe);
	} else {
		fail(probe, result);
	}
	if ((!probe->has_settled || health_of(probe) != before || is_usable_again) &&
	    probe->inputs->health_changed)
		probe->inputs->health_changed(probe->inputs->context);
	probe->has_settled = true;
	if (changed)
		probe->inputs->models_changed(probe->inputs->context);
}

/* Spread by a tenth, so that gateways that were started together do not ask together. */
static uint64_t jittered_interval_ns(struct probe *probe)
{
	uint64_t interval_ns = probe->config->health.interval;
	uint64_t tenth_ns = interval_ns / 10;

	return interval_ns - tenth_ns + hash_random_below(probe->random, 2 * tenth_ns + 1);
}

static void schedule(struct probe *probe)
{
	/* Without memory for the timer probe_tick() starts the check. */
	(void)!loop_timer_set(probe->inputs->loop, &probe->timer,
			      probe->started_ns + jittered_interval_ns(probe));
}

static void on_ended(struct health_check *check, bool described)
{
	struct probe *probe = container_of(check, struct probe, check);

	/* A check that nexusd had no memory for must not hold up the start for ever. */
	probe->has_settled = true;
	schedule(probe);
	if (described && take_list(probe))
		probe->inputs->models_changed(probe->inputs->context);
}

static void timer_fire(struct timer *timer)
{
	probe_start(container_of(timer, struct probe, timer));
}

struct probe *probe_new(const struct prober_inputs *inputs, struct hash_random *random,
			struct backend *backend)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	if (!probe)
		return NULL;
	probe->inputs = inputs;
	probe->random = random;
	probe->backend = backend_ref(backend);
	probe->answered = atomic_load_explicit(&backend->answered, memory_order_relaxed);
	timer_init(&probe->timer, timer_fire);
	health_check_init(&probe->check, inputs->loop, inputs->client);
	probe->check.judged = on_judged;
	probe->check.ended = on_ended;
	return probe;
}

struct probe *probe_free(struct probe *probe)
{
	if (!probe)
		return NULL;
	loop_timer_clear(probe->inputs->loop, &probe->timer);
	health_check_done(&probe->check);
	backend_unref(probe->backend);
	config_unref(probe->config);
	free(probe);
	return NULL;
}

void probe_configure(struct probe *probe, struct config *config, size_t index)
{
	struct config *old = probe->config;
	bool is_new_interval = old && old->health.interval != config->health.interval;

	probe->config = config_ref(config);
	probe->index = index;
	config_unref(old);
	if (is_new_interval && !health_check_is_running(&probe->check))
		schedule(probe);
}

void probe_start(struct probe *probe)
{
	if (health_check_is_running(&probe->check))
		return;
	loop_timer_clear(probe->inputs->loop, &probe->timer);
	probe->started_ns = clock_monotonic_ns();
	health_check_start(&probe->check, probe->config, probe->index);
}

/* What a request met counts as a failed check; but only a check finds a backend unhealthy. */
static void take_evidence(struct probe *probe)
{
	probe->successes = 0;
	if (probe->failures + 1 < probe->config->health.failures)
		probe->failures++;
}

void probe_tick(struct probe *probe)
{
	atomic_bool *suspect = &probe->backend->suspect;

	if (health_check_is_running(&probe->check))
		return;
	if (!timer_is_set(&probe->timer)) {
		probe_start(probe);
		return;
	}
	if (!atomic_load_explicit(suspect, memory_order_relaxed) ||
	    clock_monotonic_ns() - probe->started_ns < EARLY_SPACING_NS)
		return;
	/* What is noted from here on is about the time after this check. */
	atomic_store_explicit(suspect, false, memory_order_relaxed);
	take_evidence(probe);
	probe_start(probe);
}
