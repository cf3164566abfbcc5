/* SPDX-License-Identifier: Apache-2.0 */
#include "health/probe.h"

#include "prober_bed.h"

static bool has_many_checks(struct bed *bed)
{
	return checks(bed, "ok") >= 5;
}

static bool checked_twice(struct bed *bed)
{
	return checks(bed, "ok") == 2;
}

static bool checked_thrice(struct bed *bed)
{
	return checks(bed, "ok") == 3;
}

static bool failed_once(struct bed *bed)
{
	return checks(bed, "http_5xx") == 1;
}

static void test_first_success(void)
{
	static struct bed bed;
	struct backend *a;

	bed_init(&bed);
	set_rule(&bed.server, 0, "GET /v1/models HTTP/1.1\r\n", 200, ONE_MODEL);
	bed.backend_configs[0][0].authorization = (char[]){"Bearer sesame"};
	ok(!prober_has_settled(bed.prober), "nothing is settled before there is a configuration");
	configure(&bed, 0);
	a = backend_a(&bed);
	is_int(health_of_a(&bed), BACKEND_UNKNOWN, "nothing is known at first");
	ok(!prober_has_settled(bed.prober), "nor settled");
	is_u64(bed.n_changes, 0, "nor told");
	ok(wait_until(&bed, a_is_healthy), "the first success decides");
	ok(prober_has_settled(bed.prober), "and settles");
	is_u64(bed.n_changes, 1, "and is told");
	is_u64(a->n_models, 1, "the list was read");
	is_text(a->models[0].id, "m", "with its model");
	is_u64(a->models[0].context_length, 4096, "and what is known of it");
	is_u64(checks(&bed, "ok"), 1, "one check was counted");
	is_u64(read_metric(&bed, METRIC_BACKEND_LATENCY, "a"), 1, "and its latency");
	ok(atomic_load(&a->ema_usec) > 0, "which is the first average");
	pthread_mutex_lock(&bed.server.lock);
	is_text(bed.server.authorization, "Bearer sesame", "the key was sent");
	pthread_mutex_unlock(&bed.server.lock);
	bed_done(&bed);
}

static void test_thresholds(void)
{
	static struct bed bed;
	struct backend *a;
	uint64_t n_good;

	bed_init(&bed);
	set_rule(&bed.server, 0, "GET /v1/models ", 200, ONE_MODEL);
	configure(&bed, 0);
	a = backend_a(&bed);
	ok(wait_until(&bed, has_many_checks), "checks go on");
	is_u64(bed.n_changes, 1, "the same list is no change");
	set_rule(&bed.server, 0, "GET /v1/models ", 500, "{}");
	ok(wait_until(&bed, a_is_unhealthy), "failures make it unhealthy");
	is_u64(checks(&bed, "http_5xx"), 3, "the third one in a row");
	is_u64(a->n_models, 1, "its models stay");
	n_good = checks(&bed, "ok");
	set_rule(&bed.server, 0, "GET /v1/models ", 200,
		 "{\"data\":[{\"id\":\"m\"},{\"id\":\"n\"}]}");
	ok(wait_until(&bed, a_is_healthy), "successes make it healthy");
	is_u64(checks(&bed, "ok") - n_good, 2, "the second one in a row");
	is_u64(a->n_models, 2, "with a new list");
	is_u64(bed.n_changes, 2, "which was told");
	bed_done(&bed);
}

static void test_stated(void)
{
	static struct bed bed;
	struct model_config stated[] = {
		{.id = (char[]){"s"}, .context_length = 512, .json_mode = TRISTATE_NO}};

	bed_init(&bed);
	set_rule(&bed.server, 0, "GET /v1/models ", 200, ONE_MODEL);
	bed.backend_configs[0][0].models = stated;
	bed.backend_configs[0][0].n_models = 1;
	configure(&bed, 0);
	is_u64(backend_a(&bed)->n_models, 1, "stated models are there at once");
	ok(wait_until(&bed, has_many_checks), "checks go on");
	is_u64(backend_a(&bed)->n_models, 1, "and do not change them");
	is_text(backend_a(&bed)->models[0].id, "s", "by name");
	is_u64(backend_a(&bed)->models[0].context_length, 512, "by length");
	is_int(backend_a(&bed)->models[0].json_mode, TRISTATE_NO, "by capability");
	bed_done(&bed);
}

static void test_optional(void)
{
	static struct bed bed;

	bed_init(&bed);
	bed.backend_configs[0][0].optional = true;
	set_rule(&bed.server, 0, "GET /v1/models ", 200, ONE_MODEL);
	server_stop(&bed.server);
	configure(&bed, 0);
	ok(wait_until(&bed, has_settled), "an absent optional backend settles");
	is_int(health_of_a(&bed), BACKEND_UNKNOWN, "and counts as nothing");
	server_listen(&bed.server);
	ok(wait_until(&bed, a_is_healthy), "until it has answered once");
	server_stop(&bed.server);
	ok(wait_until(&bed, a_is_unhealthy), "from then on its absence is a fault");
	bed_done(&bed);
}

static void test_suspicion(void)
{
	static struct bed bed;
	struct backend *a;

	bed_init(&bed);
	bed.configs[0].health.interval = LONG_NS;
	set_rule(&bed.server, 0, "GET /v1/models ", 200, ONE_MODEL);
	configure(&bed, 0);
	a = backend_a(&bed);
	ok(wait_until(&bed, a_is_healthy), "the next check is an hour away");

	atomic_store(&a->ema_usec, 1u << 30);
	atomic_store(&a->answered, 1);
	atomic_store(&a->suspect, true);
	ok(wait_until(&bed, checked_twice), "a suspect is checked early");
	ok(!atomic_load(&a->suspect), "and cleared");
	is_u64(atomic_load(&a->ema_usec), 1u << 30, "the average is left to the requests");
	atomic_store(&a->suspect, true);
	ok(wait_until(&bed, checked_thrice), "as often as it is suspected");
	ok(atomic_load(&a->ema_usec) < 1u << 30, "the average is fed while there are none");

	bed.configs[0].health.failures = 2;
	set_rule(&bed.server, 0, "GET /v1/models ", 500, "{}");
	atomic_store(&a->suspect, true);
	ok(wait_until(&bed, failed_once), "the check fails");
	is_int(health_of_a(&bed), BACKEND_UNHEALTHY, "with the request that makes two failures");
	bed_done(&bed);
}

static struct probe *jittered;

static bool is_scheduled(struct bed *bed UNUSED)
{
	return timer_is_set(&jittered->timer) && !health_check_is_running(&jittered->check);
}

/* Gateways that were started together must not go on asking together. */
static void test_jitter(void)
{
	static struct bed bed;
	struct hash_random random;
	struct prober_inputs inputs;
	uint64_t least = UINT64_MAX, most = 0;

	bed_init(&bed);
	bed.configs[0].health.interval = LONG_NS;
	set_rule(&bed.server, 0, "GET /v1/models ", 200, ONE_MODEL);
	hash_random_init(&random, hash_seed_new());
	inputs = (struct prober_inputs){.loop = bed.loop,
					.client = bed.client,
					.backends = bed.backends,
					.registry = bed.registry,
					.slab = bed.slab,
					.models_changed = models_changed,
					.context = &bed};
	jittered = probe_new(&inputs, &random, backends_obtain(bed.backends, STR_LITERAL("a")));
	probe_configure(jittered, &bed.configs[0], 0);
	for (int i = 0; i < 20; i++) {
		uint64_t interval;

		probe_start(jittered);
		ok(wait_until(&bed, is_scheduled), "check %d is followed by another", i);
		interval = jittered->timer.due_ns - jittered->started_ns;
		least = interval < least ? interval : least;
		most = interval > most ? interval : most;
	}
	ok(least >= LONG_NS / 10 * 9 && most <= LONG_NS / 10 * 11, "within a tenth");
	ok(most - least > LONG_NS / 100, "and not always alike");
	jittered = probe_free(jittered);
	bed_done(&bed);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	if (client_global_init() < 0)
		give_up("no libcurl");
	test_first_success();
	test_thresholds();
	test_stated();
	test_optional();
	test_suspicion();
	test_jitter();
	client_global_done();
	return tap_done();
}
