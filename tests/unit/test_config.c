/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/clock.h"
#include "tests/unit/config_fixture.h"

static void test_defaults(void)
{
	struct result result;
	const struct config *config;

	parse(&result, "");
	config = result.config;
	if (!ok(result.r == 0 && config, "no text at all is a configuration"))
		return;
	is_u64(config->n_listeners, 1, "one listener");
	is_text(config->listeners[0].address, "127.0.0.1:8000", "on loopback");
	is_u64(config->listeners[0].faces, FACE_API | FACE_METRICS, "with both faces");
	is_u64(config->listeners[0].mode, 0660, "mode");
	ok(!config->listeners[0].origin.file, "built in");
	is_u64(config->n_backends, 2, "two backends");
	is_text(config->backends[0].name, "demo", "the demo");
	is_u64(config->backends[0].type, BACKEND_DEMO, "its type");
	ok(!config->backends[0].url && !config->backends[0].optional, "which needs nothing");
	is_u64(config->backends[0].priority, 100, "and comes last");
	is_text(config->backends[1].name, "local-ollama", "an Ollama");
	is_text(config->backends[1].url, "http://127.0.0.1:11434", "where it usually is");
	ok(config->backends[1].optional, "if there");
	is_u64(config->backends[1].priority, 1, "and comes first");
	is_u64(config->workers, 0, "workers");
	is_u64(config->limits.max_body, 10 << 20, "max_body");
	is_u64(config->limits.max_header, 8 << 10, "max_header");
	is_u64(config->timeouts.head, 10 * NS_PER_SEC, "head");
	is_u64(config->timeouts.total, 600 * NS_PER_SEC, "total");
	is_u64(config->health.interval, 30 * NS_PER_SEC, "interval");
	is_u64(config->routing.strategy, STRATEGY_SMART, "strategy");
	is_u64(config->routing.weights.priority, 50, "weight of the priority");
	is_text(config->metrics.path, "/metrics", "metrics path");
	ok(config->metrics.enabled && !config->metrics.raw_labels, "metrics on, sanitized");
	ok(!config->statsd.enabled, "statsd off");
	is_text(config->statsd.address, "udp://127.0.0.1:8125", "statsd address");
	is_u64(config->statsd.max_packet, 1432, "statsd packets");
	is_u64(config->log.level, LOG_LEVEL_INFO, "log level");
	is_text(config->credentials_directory, "/etc/nexusd/credentials", "credentials");
	done(&result);
}

static const char full[] =
	"listeners = ( { address = \"[::1]:0\"; faces = [ \"api\" ]; },\n"
	"  { address = \"unix:/run/x.sock\"; faces = ( \"metrics\", \"admin\" ); mode = \"0600\"; "
	"} );\n"
	"workers = 0x4;\n"
	"limits: { max_body = 1048576; max_header = \"16k\"; };\n"
	"timeouts: { head = 0.25; body = 3; idle = 4; connect = 5; first_byte = 6;\n"
	"  stream_idle = 7; total = 8; drain = 0; };\n"
	"health: { interval = 9; timeout = 10; failures = 11; successes = 12; };\n"
	"backends = (\n"
	"  { name = \"gpu-1\"; type = \"vllm\"; url = \"HTTP://gpu_1:8000/v1/\"; priority = 0; "
	"weight = 1000; tier = 3; optional = true;\n"
	"    credential = \"key\"; ca_file = \"\";\n"
	"    models = ( \"llama3:70b\", { id = \"m/2\"; context_length = 32768; vision = false;\n"
	"      tools = true; json_mode = false; } ); },\n"
	"  { name = \"cloud\"; type = \"openai\"; url = \"https://[::1]/api/v1\";\n"
	"    forward_authorization = true; models = [ \"llama3:70b\" ]; } );\n"
	"routing: { strategy = \"random\"; session_key = \"header:X-Chat\"; max_retries = 4; "
	"weights: { load = 100; };\n"
	"  aliases = ( { name = \"a\"; model = \"b\"; }, { name = \"b\"; model = \"c\"; },\n"
	"    { name = \"c\"; model = \"m\"; } );\n"
	"  fallbacks = ( { model = \"m\"; to = [ \"n\", \"o\" ]; } );\n"
	"  policies = ( { match = \"m\"; }, { match = \"[a-c]?*\"; zone = \"restricted\";\n"
	"    min_tier = 2; strict = true; } ); };\n"
	"metrics: { enabled = false; path = \"scrape\"; label_values = \"raw\";\n"
	"  max_series = 13; max_series_per_family = 14; birth_models = 15;\n"
	"  naming = \"clean\"; exemplars = true; created = true; buckets: { duration = ( 0.001, 1, "
	"2.5 ); tokens = [ 1, 2 ]; }; };\n"
	"statsd: { enabled = true; address = \"tcp://[::1]:2003\"; dialect = \"influx\";\n"
	"  prefix = \"llm.gw\"; interval = 0.5; max_packet = \"8K\"; tags = [ \"dc:fra-1.x\" ];\n"
	"  allow = [ \"nexus_*\", \"gateway_*\" ]; deny = [ \"*_info\" ]; };\n"
	"log: { level = \"debug\"; };\n";

static void check_full_numbers(const struct config *config)
{
	is_u64(config->n_listeners, 2, "two listeners instead of the built-in one");
	is_u64(config->listeners[0].faces, FACE_API, "faces from an array");
	is_u64(config->listeners[1].faces, FACE_METRICS | FACE_ADMIN, "faces from a list");
	is_u64(config->listeners[1].mode, 0600, "mode");
	is_u64(config->listeners[1].origin.line, 2, "where it stands");
	is_text(config->listeners[1].origin.file, "t.conf", "in which file");
	is_u64(config->workers, 4, "a hexadecimal number");
	is_u64(config->limits.max_body, 1 << 20, "bytes");
	is_u64(config->limits.max_header, 16 << 10, "a suffix");
	is_u64(config->timeouts.head, NS_PER_SEC / 4, "a fraction of a second");
	is_u64(config->timeouts.body, 3 * NS_PER_SEC, "whole seconds");
	is_u64(config->timeouts.idle, 4 * NS_PER_SEC, "idle");
	is_u64(config->timeouts.connect, 5 * NS_PER_SEC, "connect");
	is_u64(config->timeouts.first_byte, 6 * NS_PER_SEC, "first_byte");
	is_u64(config->timeouts.stream_idle, 7 * NS_PER_SEC, "stream_idle");
	is_u64(config->timeouts.total, 8 * NS_PER_SEC, "total");
	is_u64(config->timeouts.drain, 0, "none");
	is_u64(config->health.interval, 9 * NS_PER_SEC, "interval");
	is_u64(config->health.timeout, 10 * NS_PER_SEC, "timeout");
	is_u64(config->health.failures, 11, "failures");
	is_u64(config->health.successes, 12, "successes");
}

static void check_full_backends(const struct config *config)
{
	const struct backend_config *gpu = &config->backends[0], *cloud = &config->backends[1];

	is_u64(config->n_backends, 2, "two backends instead of the built-in ones");
	is_u64(gpu->type, BACKEND_VLLM, "type");
	is_text(gpu->url, "http://gpu_1:8000", "the URL's end is cut");
	is_text(gpu->credential, "key", "credential");
	ok(!gpu->ca_file && !gpu->authorization, "an empty ca_file is none; no file was read");
	is_u64(gpu->n_models, 2, "models as texts and groups");
	is_text(gpu->models[0].id, "llama3:70b", "a text");
	is_u64(gpu->models[0].tools, TRISTATE_UNKNOWN, "of which nothing is known");
	is_u64(gpu->models[1].context_length, 32768, "a group");
	is_u64(gpu->models[1].vision, TRISTATE_NO, "a stated no");
	is_u64(gpu->models[1].tools, TRISTATE_YES, "a stated yes");
	is_u64(gpu->models[1].json_mode, TRISTATE_NO, "another stated no");
	ok(gpu->optional && !cloud->optional, "optional");
	is_text(cloud->url, "https://[::1]/api", "a prefix stays");
	is_u64(cloud->priority, 50, "the default priority");
	is_u64(gpu->weight, 1000, "weight");
	is_u64(cloud->weight, 1, "the default weight");
	ok(gpu->tier == 3 && cloud->tier == 1, "tiers");
	is_text(gpu->zone, "restricted", "prompts stay with what is local");
	is_text(cloud->zone, "open", "and leave for the cloud");
	ok(cloud->forward_authorization, "forward_authorization");
}

static void check_full_statsd(const struct config *config)
{
	ok(config->statsd.enabled, "statsd.enabled");
	is_text(config->statsd.address, "tcp://[::1]:2003", "address");
	is_int(config->statsd.dialect, DIALECT_INFLUX, "dialect");
	is_text(config->statsd.prefix, "llm.gw", "prefix");
	is_u64(config->statsd.interval, NS_PER_SEC / 2, "interval");
	is_u64(config->statsd.max_packet, 8192, "max_packet");
	is_u64(config->statsd.n_tags, 1, "a tag");
	is_text(config->statsd.tags[0], "dc:fra-1.x", "which it is");
	is_u64(config->statsd.n_allow, 2, "allow");
	is_text(config->statsd.allow[1], "gateway_*", "a pattern");
	is_u64(config->statsd.n_deny, 1, "deny");
}

static void check_full_routing_and_metrics(const struct config *config)
{
	is_u64(config->routing.strategy, STRATEGY_RANDOM, "strategy");
	is_text(config->routing.session_key, "header:X-Chat", "session_key");
	is_u64(config->routing.max_retries, 4, "max_retries");
	is_u64(config->routing.weights.load, 100, "one weight");
	is_u64(config->routing.weights.latency, 20, "the others keep their defaults");
	is_u64(config->routing.n_aliases, 3, "a chain of three aliases is allowed");
	is_u64(config->routing.fallbacks[0].n_to, 2, "two fallbacks");
	is_text(config->routing.fallbacks[0].to[1], "o", "in order");
	is_u64(config->routing.n_policies, 2, "two policies");
	ok(!config->routing.policies[0].restricted && config->routing.policies[0].min_tier == 0 &&
		   !config->routing.policies[0].strict,
	   "one that demands nothing");
	is_text(config->routing.policies[1].match, "[a-c]?*", "a pattern");
	ok(config->routing.policies[1].restricted && config->routing.policies[1].min_tier == 2 &&
		   config->routing.policies[1].strict,
	   "one that demands all there is");
	is_text(config->metrics.path, "/scrape", "the missing slash is added");
	ok(config->metrics.raw_labels && !config->metrics.enabled, "raw labels, not served");
	is_u64(config->metrics.max_series, 13, "max_series");
	is_u64(config->metrics.max_series_per_family, 14, "max_series_per_family");
	is_u64(config->metrics.birth_models, 15, "birth_models");
	ok(config->metrics.clean_names, "clean names");
	is_u64(config->metrics.buckets.duration.n, 3, "three buckets");
	is_u64(config->metrics.buckets.duration.nano[0], 1000000, "a millisecond");
	is_u64(config->metrics.buckets.duration.nano[2], 2500000000, "two and a half seconds");
	is_u64(config->metrics.buckets.tokens.nano[1], 2000000000, "two tokens");
	is_u64(config->metrics.buckets.gateway.n, 0, "the built-in ones otherwise");
	is_u64(config->log.level, LOG_LEVEL_DEBUG, "log level");
}

static void test_full(void)
{
	struct result result;

	parse(&result, full);
	is_text(error_of(&result), "", "a configuration with everything in it");
	if (result.config) {
		check_full_numbers(result.config);
		check_full_backends(result.config);
		check_full_routing_and_metrics(result.config);
		check_full_statsd(result.config);
	}
	done(&result);

	parse(&result, "listeners = ( { address = \"0.0.0.0:80\"; } );"
		       "allow_unauthenticated = true; backends = ( );");
	ok(result.config && result.config->n_backends == 0,
	   "exposed on request; no backend at all");
	done(&result);
	parse(&result, "listeners = ( { address = \"127.0.0.1:0\"; },"
		       "{ address = \"127.0.0.1:0\"; faces = [ \"metrics\" ]; } );");
	is_int(result.r, 0, "a port that the kernel chooses may be asked for twice");
	done(&result);
}

static void test_words_of_levels(void)
{
	for (enum log_level level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		struct result result;
		char text[64];

		(void)snprintf(text, sizeof(text), "log: { level = \"%s\"; };",
			       log_level_name(level));
		parse(&result, text);
		ok(result.config && result.config->log.level == level, "%s", text);
		done(&result);
	}
}

static void test_references(void)
{
	struct result result;

	parse(&result, "");
	need(result.config);
	ok(config_ref(result.config) == result.config, "a reference");
	ok(!config_unref(result.config), "one of two dropped");
	is_u64(result.config->n_backends, 2, "still there");
	done(&result);
	ok(!config_unref(NULL), "NULL is accepted");
}

static const struct {
	const char *one, *other, *differences;
	int n;
} changes[] = {
	{"", "", "", 0},
	{"", full,
	 "workers, limits.max_header, timeouts.idle, metrics.label_values, metrics.naming, "
	 "metrics.exemplars, metrics.created, metrics.buckets.duration, metrics.buckets.tokens, "
	 "metrics.max_series, "
	 "metrics.max_series_per_family",
	 11},
	{full, full, "", 0},
	{"", "log: { level = \"debug\"; }; timeouts: { head = 1; };", "", 0},
	{"", "workers = 2; metrics: { max_series = 7; max_series_per_family = 3; };",
	 "workers, metrics.max_series, metrics.max_series_per_family", 3},
	{"listeners = ( { address = \"[::1]:1\"; } );",
	 "listeners = ( { address = \"[::1]:2\"; } );", "", 0},
};

static void test_restart_differences(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct result one, other;
		struct buf out;
		int n;

		buf_init(&out, 1000);
		parse(&one, changes[i].one);
		parse(&other, changes[i].other);
		need(one.config);
		need(other.config);
		n = config_restart_differences(one.config, other.config, &out);
		is_int(n, changes[i].n, "%d differences", changes[i].n);
		ok(str_eq(buf_str(&out), str_of(changes[i].differences)), "\"%s\"",
		   changes[i].differences);
		done(&one);
		done(&other);
		buf_done(&out);
	}
}

int main(void)
{
	test_defaults();
	test_full();
	test_words_of_levels();
	test_references();
	test_restart_differences();
	return tap_done();
}
