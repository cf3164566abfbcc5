/* SPDX-License-Identifier: Apache-2.0 */
#include "health/prober.h"

#include "prober_bed.h"

static bool changed_twice(struct bed *bed)
{
	return bed->n_changes == 2;
}

static bool served_two(struct bed *bed)
{
	return requests_of(&bed->server, 0) == 2;
}

static bool b_is_healthy(struct bed *bed)
{
	return backend_is_healthy(need(backends_find(bed->backends, STR_LITERAL("b"))));
}

static bool is_hanging(struct bed *bed)
{
	bool hangs;

	pthread_mutex_lock(&bed->server.lock);
	hangs = bed->server.n_hanging > 0;
	pthread_mutex_unlock(&bed->server.lock);
	return hangs;
}

static void test_demo(void)
{
	static struct bed bed;
	struct backend *a;

	bed_init(&bed);
	bed.backend_configs[0][0].type = BACKEND_DEMO;
	bed.backend_configs[0][0].url = NULL;
	configure(&bed, 0);
	a = backend_a(&bed);
	is_int(health_of_a(&bed), BACKEND_HEALTHY, "demo is healthy at once");
	ok(prober_has_settled(bed.prober), "and settled");
	is_u64(a->n_models, 1, "it has one model");
	is_text(a->models[0].id, "demo", "of its name");
	is_int(a->models[0].vision, TRISTATE_NO, "that takes no images");
	is_int(a->models[0].tools, TRISTATE_UNKNOWN, "and may be sent tools");
	bed_done(&bed);
}

static void test_reconfigure(void)
{
	static struct bed bed;
	char url_of_b[sizeof(bed.url) + 2];
	struct backend *a;

	bed_init(&bed);
	bed.configs[0].health.interval = bed.configs[1].health.interval = LONG_NS;
	set_rule(&bed.server, 0, "GET /v1/models ", 200, ONE_MODEL);
	set_rule(&bed.server, 1, "GET /b/v1/models ", 200, ONE_MODEL);
	configure(&bed, 0);
	a = backend_a(&bed);
	ok(wait_until(&bed, a_is_healthy), "a is checked");

	bed.backend_configs[1][1].type = BACKEND_VLLM;
	(void)snprintf(url_of_b, sizeof(url_of_b), "%s/b", bed.url);
	bed.backend_configs[1][1].url = url_of_b;
	bed.configs[1].n_backends = 2;
	configure(&bed, 1);
	ok(!prober_has_settled(bed.prober), "a new backend is to be checked");
	ok(wait_until(&bed, b_is_healthy), "and is, at once");
	is_u64(requests_of(&bed.server, 0), 1, "the other one keeps its schedule");
	ok(backend_a(&bed) == a && a_is_healthy(&bed), "and its state");

	bed.backend_configs[0][0].authorization = (char[]){"Bearer new"};
	configure(&bed, 0);
	is_int(health_of_a(&bed), BACKEND_HEALTHY, "one with another key is healthy as before");
	ok(wait_until(&bed, served_two), "and is checked at once");
	pthread_mutex_lock(&bed.server.lock);
	is_text(bed.server.authorization, "Bearer new", "with its new key");
	pthread_mutex_unlock(&bed.server.lock);

	set_rule(&bed.server, 0, "GET /v1/models ", 401, "");
	bed.backend_configs[1][0].authorization = (char[]){"Bearer wrong"};
	bed.configs[1].n_backends = 1;
	configure(&bed, 1);
	is_int(health_of_a(&bed), BACKEND_HEALTHY, "so is one with a wrong key");
	ok(wait_until(&bed, a_is_unhealthy), "until its first check");

	bed.backend_configs[1][0].type = BACKEND_DEMO;
	bed.configs[1].n_backends = 1;
	configure(&bed, 1);
	is_int(health_of_a(&bed), BACKEND_HEALTHY, "one that becomes a demo is healthy");
	is_text(a->models[0].id, "demo", "with the demo's model");
	bed_done(&bed);
}

/* A reload, and then the end, while an answer is awaited. */
/* The same address is somebody else's number for a moment, and its own again. */
static void test_another_of_the_name(void)
{
	static struct bed bed;
	struct backend *other;

	bed_init(&bed);
	bed.configs[0].health.interval = LONG_NS;
	set_rule(&bed.server, 0, "GET /v1/models ", 200, ONE_MODEL);
	configure(&bed, 0);
	ok(wait_until(&bed, a_is_healthy), "a is checked");
	other = backend_new(STR_LITERAL("a"));
	if (!other || backends_put(bed.backends, other) < 0)
		give_up("no memory");
	configure(&bed, 0);
	is_int(health_of_a(&bed), BACKEND_UNKNOWN, "another one of the name is to be known anew");
	ok(wait_until(&bed, a_is_healthy) && backend_a(&bed) == other, "and is checked at once");
	bed_done(&bed);
}

static void test_reconfigure_in_flight(void)
{
	static struct bed bed;

	bed_init(&bed);
	bed.configs[1].health.interval = LONG_NS;
	set_rule(&bed.server, 0, "GET /v1/models ", HANG, "");
	configure(&bed, 0);
	ok(wait_until(&bed, is_hanging), "a check is under way");
	configure(&bed, 1);
	ok(bed.configs[0].references > 1, "it keeps the configuration that it was made with");
	bed.backend_configs[0][0].authorization = (char[]){"Bearer x"};
	configure(&bed, 0);
	is_int(bed.configs[1].references, 1, "an edited backend cancels its check");
	ok(wait_until(&bed, is_hanging), "and begins another");
	bed_done(&bed);

	bed_init(&bed);
	set_rule(&bed.server, 0, "GET /v1/models ", 200, ONE_MODEL);
	configure(&bed, 0);
	ok(wait_until(&bed, a_is_healthy), "a is healthy");
	bed.configs[1].health.interval = 2 * SHORT_NS;
	configure(&bed, 1);
	set_rule(&bed.server, 0, "GET /v1/models ", 200, "{\"data\":[]}");
	ok(wait_until(&bed, changed_twice), "checks go on with another interval");
	bed.configs[0].n_backends = 0;
	configure(&bed, 0);
	ok(prober_has_settled(bed.prober), "without backends there is nothing to wait for");
	bed_done(&bed);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	if (client_global_init() < 0)
		give_up("no libcurl");
	test_demo();
	test_reconfigure();
	test_another_of_the_name();
	test_reconfigure_in_flight();
	client_global_done();
	return tap_done();
}
