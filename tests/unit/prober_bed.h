/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of health checks: a prober with its loop, a server to ask, and two configurations. */
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "health/prober.h"
#include "metrics/snapshot.h"
#include "script_server.h"
#include "tap.h"

#define WAIT_AT_MOST_NS (20 * NS_PER_SEC)
#define LONG_NS         (3600 * NS_PER_SEC)
#define SHORT_NS        (10 * NS_PER_MSEC)

#define ONE_MODEL "{\"data\":[{\"id\":\"m\",\"max_model_len\":4096}]}"

static void give_up(const char *why)
{
	printf("Bail out! %s\n", why);
	exit(99);
}

struct bed {
	struct loop *loop;
	struct client *client;
	struct registry *registry;
	struct backends *backends;
	struct slab *slab;
	struct prober *prober;
	struct server server;
	unsigned n_changes;

	struct config configs[2]; /* never freed by their references */
	struct backend_config backend_configs[2][2];
	char url[64];

	/* what is being waited for */
	struct hook hook;
	bool (*is_met)(struct bed *bed);
	uint64_t give_up_ns;
	bool was_met;
};

UNUSED static void models_changed(void *context)
{
	struct bed *bed = context;

	bed->n_changes++;
}

UNUSED static uint64_t turn_end(struct hook *hook)
{
	struct bed *bed = container_of(hook, struct bed, hook);

	bed->was_met = bed->is_met(bed);
	if (bed->was_met || clock_monotonic_ns() > bed->give_up_ns)
		loop_stop(bed->loop);
	return NS_PER_MSEC;
}

/* Turns the loop until the condition is met; false when that takes unreasonably long. */
UNUSED static bool wait_until(struct bed *bed, bool (*is_met)(struct bed *bed))
{
	bed->is_met = is_met;
	bed->give_up_ns = clock_monotonic_ns() + WAIT_AT_MOST_NS;
	bed->hook.turn_end = turn_end;
	loop_hook_add(bed->loop, &bed->hook);
	loop_run(bed->loop);
	loop_hook_remove(&bed->hook);
	return bed->was_met;
}

UNUSED static void bed_init(struct bed *bed)
{
	const struct registry_options options = {.max_series = 1000, .max_series_per_family = 100};

	memset(bed, 0, sizeof(*bed));
	server_init(&bed->server);
	(void)snprintf(bed->url, sizeof(bed->url), "http://127.0.0.1:%u", bed->server.port);
	bed->loop = loop_new();
	bed->registry = registry_new(&options);
	bed->backends = backends_new();
	if (!bed->loop || !bed->registry || !bed->backends)
		give_up("no memory");
	bed->client = client_new(bed->loop);
	bed->slab = registry_slab_new(bed->registry);
	bed->prober = prober_new(&(struct prober_inputs){
		.loop = bed->loop,
		.client = bed->client,
		.backends = bed->backends,
		.registry = bed->registry,
		.slab = bed->slab,
		.models_changed = models_changed,
		.context = bed,
	});
	if (!bed->client || !bed->slab || !bed->prober)
		give_up("no memory");
	for (size_t i = 0; i < ARRAY_SIZE(bed->configs); i++) {
		struct config *config = &bed->configs[i];

		config->references = 1;
		config->backends = bed->backend_configs[i];
		config->n_backends = 1;
		config->health.interval = SHORT_NS;
		config->health.timeout = WAIT_AT_MOST_NS;
		config->health.failures = 3;
		config->health.successes = 2;
		bed->backend_configs[i][0] = (struct backend_config){
			.name = strdup("a"), .type = BACKEND_VLLM, .url = bed->url};
		bed->backend_configs[i][1].name = strdup("b");
	}
}

UNUSED static void bed_done(struct bed *bed)
{
	prober_free(bed->prober);
	client_free(bed->client);
	backends_free(bed->backends);
	registry_free(bed->registry);
	loop_free(bed->loop);
	server_done(&bed->server);
	for (size_t i = 0; i < ARRAY_SIZE(bed->configs); i++) {
		is_int(bed->configs[i].references, 1, "configuration %zu was given back", i);
		free(bed->backend_configs[i][0].name);
		free(bed->backend_configs[i][1].name);
	}
}

UNUSED static struct backend *backend_a(struct bed *bed)
{
	return need(backends_find(bed->backends, STR_LITERAL("a")));
}

UNUSED static int health_of_a(struct bed *bed)
{
	return atomic_load(&backend_a(bed)->health);
}

UNUSED static bool a_is_healthy(struct bed *bed)
{
	return health_of_a(bed) == BACKEND_HEALTHY;
}

UNUSED static bool a_is_unhealthy(struct bed *bed)
{
	return health_of_a(bed) == BACKEND_UNHEALTHY;
}

UNUSED static bool has_settled(struct bed *bed)
{
	return prober_has_settled(bed->prober);
}

UNUSED static void configure(struct bed *bed, size_t i)
{
	int r = prober_configure(bed->prober, &bed->configs[i]);

	is_int(r, 0, "configuration %zu is in force", i);
}

struct reading {
	enum metric metric;
	struct str label; /* the last value */
	uint64_t value;
};

UNUSED static void read_sample(void *context, const struct sample *sample)
{
	struct reading *reading = context;
	size_t n_labels = metric_row(reading->metric)->n_labels;

	if (sample->metric == reading->metric &&
	    str_eq(sample->values[n_labels - 1], reading->label))
		reading->value += sample->n_buckets ? sample->count : (uint64_t)sample->value;
}

UNUSED static uint64_t read_metric(struct bed *bed, enum metric metric, const char *label)
{
	struct reading reading = {.metric = metric, .label = str_of(label)};
	const struct snapshot_visitor visitor = {.sample = read_sample, .context = &reading};

	if (snapshot_visit(bed->registry, &visitor) < 0)
		give_up("no memory");
	return reading.value;
}

UNUSED static uint64_t checks(struct bed *bed, const char *result)
{
	return read_metric(bed, METRIC_HEALTH_CHECKS, result);
}
