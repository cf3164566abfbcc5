/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_check.h"

#include "prober_bed.h"

static bool has_many_checks(struct bed *bed)
{
	return checks(bed, "ok") >= 5;
}

static bool tools_are_known(struct bed *bed)
{
	struct backend *a = backend_a(bed);

	return a->n_models == 2 && a->models[0].tools != TRISTATE_UNKNOWN &&
	       a->models[1].tools != TRISTATE_UNKNOWN;
}

static bool shown_three_times(struct bed *bed)
{
	return requests_of(&bed->server, 1) == 3 && has_many_checks(bed);
}

static bool shown_often(struct bed *bed)
{
	return requests_of(&bed->server, 1) >= 4;
}

static void test_outcomes(void)
{
	static char too_long[(4u << 20) + 64];
	static const struct {
		const char *what;
		unsigned status;
		const char *body, *result;
	} cases[] = {
		{"not found", 404, "{}", "http_4xx"},
		{"too many requests", 429, "{}", "http_429"},
		{"not available", 503, "{}", "http_5xx"},
		{"a redirection", 302, "", "parse"},
		{"no content", 204, "", "parse"},
		{"no document", 200, "hello", "parse"},
		{"no list", 200, "{\"object\":\"list\"}", "parse"},
		{"a list too long", 200, too_long, "parse"},
	};
	static struct bed bed;

	memset(too_long, ' ', sizeof(too_long) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bed_init(&bed);
		bed.configs[0].health.interval = LONG_NS;
		set_rule(&bed.server, 0, "GET /v1/models ", cases[i].status, cases[i].body);
		configure(&bed, 0);
		ok(wait_until(&bed, has_settled), "result: %s", cases[i].what);
		is_int(health_of_a(&bed), BACKEND_UNHEALTHY, "unhealthy: %s", cases[i].what);
		is_u64(checks(&bed, cases[i].result), 1, "counted as %s", cases[i].result);
		is_u64(read_metric(&bed, METRIC_BACKEND_LATENCY, "a"), 0, "no latency");
		is_u64(bed.n_changes, 1, "a first result is told");
		bed_done(&bed);
	}
}

static void test_dead(void)
{
	static const struct {
		const char *what;
		unsigned status;
		bool is_down;
		const char *results[2]; /* either of them */
	} cases[] = {
		{"silence", HANG, false, {"timeout", "timeout"}},
		{"a closed connection", SLAM, false, {"reset", "truncated"}},
		{"nobody there", 200, true, {"connect", "connect"}},
	};
	static struct bed bed;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bed_init(&bed);
		bed.configs[0].health.interval = LONG_NS;
		if (cases[i].status == HANG)
			bed.configs[0].health.timeout = 50 * NS_PER_MSEC;
		set_rule(&bed.server, 0, "GET /v1/models ", cases[i].status, "");
		if (cases[i].is_down)
			server_stop(&bed.server);
		configure(&bed, 0);
		ok(wait_until(&bed, a_is_unhealthy), "unhealthy: %s", cases[i].what);
		ok(checks(&bed, cases[i].results[0]) + checks(&bed, cases[i].results[1]) > 0,
		   "counted as %s", cases[i].results[0]);
		bed_done(&bed);
	}
}

static void test_llamacpp(void)
{
	static struct bed bed;

	bed_init(&bed);
	bed.backend_configs[0][0].type = BACKEND_LLAMACPP;
	set_rule(&bed.server, 0, "GET /health ", 200, "{\"status\":\"loading model\"}");
	set_rule(&bed.server, 1, "GET /v1/models ", 200,
		 "{\"data\":[{\"id\":\"q\",\"meta\":{\"n_ctx_train\":2048}}]}");
	configure(&bed, 0);
	ok(wait_until(&bed, a_is_unhealthy), "a model that is being loaded is no use");
	is_u64(requests_of(&bed.server, 1), 0, "nothing more is asked then");
	set_rule(&bed.server, 0, "GET /health ", 200, "{\"status\":\"ok\"}");
	ok(wait_until(&bed, a_is_healthy), "once it is loaded it is healthy");
	is_u64(backend_a(&bed)->n_models, 1, "and the list is read");
	is_u64(backend_a(&bed)->models[0].context_length, 2048, "with its context length");
	bed_done(&bed);
}

static void test_ollama(void)
{
	static struct bed bed;
	struct backend *a;

	bed_init(&bed);
	bed.backend_configs[0][0].type = BACKEND_OLLAMA;
	set_rule(&bed.server, 0, "GET /api/tags ", 200,
		 "{\"models\":[{\"name\":\"a:1\",\"digest\":\"x\"},{\"name\":\"b:1\"}]}");
	set_rule(&bed.server, 1, "POST /api/show ", 200,
		 "{\"capabilities\":[\"completion\",\"tools\"],\"model_info\":{\"general."
		 "architecture\":\"llama\",\"llama.context_length\":8192}}");
	configure(&bed, 0);
	a = backend_a(&bed);
	ok(wait_until(&bed, tools_are_known), "both models are asked about");
	is_int(health_of_a(&bed), BACKEND_HEALTHY, "it is healthy");
	is_int(a->models[0].tools, TRISTATE_YES, "a known yes");
	is_int(a->models[0].vision, TRISTATE_NO, "a known no");
	is_u64(a->models[1].context_length, 8192, "a known length");
	is_text(bed.server.rules[1].last_body, "{\"model\":\"b:1\"}", "the last question");
	is_u64(bed.n_changes, 2, "the list was told, then its details");
	ok(wait_until(&bed, has_many_checks), "checks go on");
	is_u64(requests_of(&bed.server, 1), 2, "nothing is asked twice");
	set_rule(&bed.server, 0, "GET /api/tags ", 200,
		 "{\"models\":[{\"name\":\"a:1\",\"digest\":\"y\"},{\"name\":\"b:1\"}]}");
	ok(wait_until(&bed, shown_three_times), "but for a model that has changed");
	is_u64(a->models[1].context_length, 8192, "what is known stays");
	is_int(health_of_a(&bed), BACKEND_HEALTHY, "healthy all the while");
	bed_done(&bed);
}

/* Details that cannot be had are no reason to think ill of the backend. */
static void test_ollama_without_details(void)
{
	static struct bed bed;

	bed_init(&bed);
	bed.backend_configs[0][0].type = BACKEND_OLLAMA;
	bed.configs[0].health.failures = 1;
	set_rule(&bed.server, 0, "GET /api/tags ", 200,
		 "{\"models\":[{\"name\":\"a\"},{\"name\":\"b\"}]}");
	set_rule(&bed.server, 1, "POST /api/show ", SLAM, "");
	configure(&bed, 0);
	ok(wait_until(&bed, shown_often), "each check asks again");
	is_int(health_of_a(&bed), BACKEND_HEALTHY, "it is healthy for all that");
	set_rule(&bed.server, 1, "POST /api/show ", 500, "{}");
	bed.server.rules[1].n_requests = 0;
	ok(wait_until(&bed, shown_often), "also after errors of the server");
	set_rule(&bed.server, 1, "POST /api/show ", 200, "{\"capabilities\":[\"completion\"]}");
	ok(wait_until(&bed, tools_are_known), "until there is an answer");
	is_u64(checks(&bed, "reset") + checks(&bed, "truncated") + checks(&bed, "http_5xx"), 0,
	       "no check has failed");
	bed_done(&bed);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	if (client_global_init() < 0)
		give_up("no libcurl");
	test_outcomes();
	test_dead();
	test_llamacpp();
	test_ollama();
	test_ollama_without_details();
	client_global_done();
	return tap_done();
}
