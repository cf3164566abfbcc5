/* SPDX-License-Identifier: Apache-2.0 */
/* What is pushed, line for line, in every dialect. */
#include "export/statsd_lines.h"

#include <errno.h>
#include <stdlib.h>

#include "export/statsd_dialect.h"
#include "tests/tap.h"
#include "tests/unit/statsd_bed.h"

static const struct {
	enum config_dialect dialect;
	const char *lines;
} counters[] = {
	{DIALECT_PLAIN, "nexus.requests.llama3_70b.a.200:3|c\n"},
	{DIALECT_GRAPHITE, "nexus.requests;model=llama3_70b;backend=a;status=200:3|c\n"},
	{DIALECT_DOGSTATSD, "nexus.requests:3|c|#model:llama3_70b,backend:a,status:200\n"},
	{DIALECT_INFLUX, "nexus.requests,model=llama3_70b,backend=a,status=200:3|c\n"},
	{DIALECT_CARBON, "nexus.requests.llama3_70b.a.200 3 1700000000\n"},
};

static void test_counters(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		struct bed bed;

		bed_up(&bed, counters[i].dialect, "nexus_requests_total", false);
		bed_add(&bed, METRIC_REQUESTS, bed_values("llama3:70b", "a", "200"), 3);
		is_text(bed_push(&bed), counters[i].lines, "a counter of dialect %zu", i);
		bed_send(&bed);
		is_text(bed_push(&bed),
			counters[i].dialect == DIALECT_CARBON ? counters[i].lines : "",
			"once sent, it is not sent again but as a total");
		bed_down(&bed);
	}
}

static const struct {
	enum config_dialect dialect;
	const char *lines;
} histograms[] = {
	{DIALECT_PLAIN, "nexus.request_duration_ms.m.a.count:3|c\n"
			"nexus.request_duration_ms.m.a.sum:400100|c\n"
			"nexus.request_duration_ms.m.a.bucket_100:2|c\n"
			"nexus.request_duration_ms.m.a.bucket_inf:1|c\n"
			"nexus.request_duration_ms.m.a.p50:75|g\n"
			"nexus.request_duration_ms.m.a.p95:300000|g\n"
			"nexus.request_duration_ms.m.a.p99:300000|g\n"},
	{DIALECT_GRAPHITE, "nexus.request_duration_ms.count;model=m;backend=a:3|c\n"
			   "nexus.request_duration_ms.sum;model=m;backend=a:400100|c\n"
			   "nexus.request_duration_ms.bucket_100;model=m;backend=a:2|c\n"
			   "nexus.request_duration_ms.bucket_inf;model=m;backend=a:1|c\n"
			   "nexus.request_duration_ms.p50;model=m;backend=a:75|g\n"
			   "nexus.request_duration_ms.p95;model=m;backend=a:300000|g\n"
			   "nexus.request_duration_ms.p99;model=m;backend=a:300000|g\n"},
	{DIALECT_DOGSTATSD, "nexus.request_duration_ms.count:3|c|#model:m,backend:a\n"
			    "nexus.request_duration_ms.sum:400100|c|#model:m,backend:a\n"
			    "nexus.request_duration_ms:50|d|@0.5|#model:m,backend:a\n"
			    "nexus.request_duration_ms:300000|d|#model:m,backend:a\n"
			    "nexus.request_duration_ms.p50:75|g|#model:m,backend:a\n"
			    "nexus.request_duration_ms.p95:300000|g|#model:m,backend:a\n"
			    "nexus.request_duration_ms.p99:300000|g|#model:m,backend:a\n"},
	{DIALECT_CARBON, "nexus.request_duration_ms.m.a.count 3 1700000000\n"
			 "nexus.request_duration_ms.m.a.sum 400100 1700000000\n"
			 "nexus.request_duration_ms.m.a.bucket_100 2 1700000000\n"
			 "nexus.request_duration_ms.m.a.bucket_inf 1 1700000000\n"
			 "nexus.request_duration_ms.m.a.p50 75 1700000000\n"
			 "nexus.request_duration_ms.m.a.p95 300000 1700000000\n"
			 "nexus.request_duration_ms.m.a.p99 300000 1700000000\n"},
};

static void test_histograms(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(histograms); i++) {
		struct bed bed;

		bed_up(&bed, histograms[i].dialect, "nexus_request_duration_seconds", false);
		bed_observe(&bed, METRIC_REQUEST_DURATION, bed_values("m", "a", NULL), 40000000);
		bed_observe(&bed, METRIC_REQUEST_DURATION, bed_values("m", "a", NULL), 60000999);
		bed_observe(&bed, METRIC_REQUEST_DURATION, bed_values("m", "a", NULL),
			    400000000000);
		is_text(bed_push(&bed), histograms[i].lines, "a histogram of dialect %d",
			(int)histograms[i].dialect);
		bed_down(&bed);
	}
}

/* The milliseconds that are not whole yet are not lost, and not sent twice. */
static void test_remainders(void)
{
	struct bed bed;

	bed_up(&bed, DIALECT_PLAIN, "nexus_event_loop_lag_seconds", false);
	for (int i = 0; i < 3; i++)
		bed_observe(&bed, METRIC_EVENT_LOOP_LAG, NULL, 700000);
	is_text(bed_push(&bed),
		"nexus.event_loop_lag_ms.count:3|c\n"
		"nexus.event_loop_lag_ms.sum:2|c\n"
		"nexus.event_loop_lag_ms.bucket_1:3|c\n"
		"nexus.event_loop_lag_ms.p50:0.75|g\n"
		"nexus.event_loop_lag_ms.p95:0.975|g\n"
		"nexus.event_loop_lag_ms.p99:0.995|g\n",
		"2.1 ms are 2");
	bed_send(&bed);
	is_text(bed_push(&bed), "", "the rest waits");
	bed_observe(&bed, METRIC_EVENT_LOOP_LAG, NULL, 900000);
	ok(strstr(bed_push(&bed), "lag_ms.sum:1|c\n") != NULL, "until it is whole");
	ok(strstr(bed_push(&bed), "lag_ms.count:1|c\n") != NULL, "with what is new");
	ok(strstr(bed_push(&bed), "bucket_0_5") == NULL, "and no empty bucket");
	bed_down(&bed);
	bed_up(&bed, DIALECT_PLAIN, "nexus_cost_usd_total", false);
	bed_add(&bed, METRIC_COST, bed_values("m", "a", NULL), 1500);
	is_text(bed_push(&bed), "nexus.cost_microusd.m.a:1|c\n", "nano-dollars as micro-dollars");
	bed_send(&bed);
	bed_add(&bed, METRIC_COST, bed_values("m", "a", NULL), 500);
	is_text(bed_push(&bed), "nexus.cost_microusd.m.a:1|c\n", "and none is lost");
	bed_down(&bed);
}

static void test_gauges(void)
{
	static const struct {
		enum config_dialect dialect;
		const char *lines;
	} negative[] = {
		{DIALECT_PLAIN, "nexus.active_streams:0|g\nnexus.active_streams:-7|g\n"},
		{DIALECT_GRAPHITE, "nexus.active_streams:0|g\nnexus.active_streams:-7|g\n"},
		{DIALECT_DOGSTATSD, "nexus.active_streams:0|g\nnexus.active_streams:-7|g\n"},
		{DIALECT_INFLUX, "nexus.active_streams:0|g\nnexus.active_streams:-7|g\n"},
		{DIALECT_CARBON, "nexus.active_streams -7 1700000000\n"},
	};
	struct bed bed;

	for (size_t i = 0; i < ARRAY_SIZE(negative); i++) {
		bed_up(&bed, negative[i].dialect, "nexus_active_streams", false);
		slab_gauge_add(bed.slab, registry_series(bed.registry, METRIC_ACTIVE_STREAMS, NULL),
			       -7);
		is_text(bed_push(&bed), negative[i].lines, "a negative gauge");
		bed_send(&bed);
		is_text(bed_push(&bed), negative[i].lines, "is sent every time");
		bed_down(&bed);
	}
	bed_up(&bed, DIALECT_PLAIN, "nexus_uptime_seconds", false);
	is_text(bed_push(&bed), "nexus.uptime_ms:12500.000001|g\n", "decimals of a gauge");
	bed_down(&bed);
	bed_up(&bed, DIALECT_PLAIN, "process_cpu_seconds_total", false);
	is_text(bed_push(&bed), "nexus.process_cpu_ms:1234|c\n", "a counter that is provided");
	bed_send(&bed);
	is_text(bed_push(&bed), "", "has its place in the ledger");
	bed_down(&bed);
	bed_up(&bed, DIALECT_PLAIN, "nexus_model_info", false);
	is_text(bed_push(&bed), "", "infos are not sent");
	bed_down(&bed);
}

static void test_deltas(void)
{
	struct bed bed;

	bed_up(&bed, DIALECT_PLAIN, "nexus_sent_bytes_total", false);
	bed_add(&bed, METRIC_SENT_BYTES, bed_values("client", NULL, NULL), (UINT64_C(5) << 30) + 7);
	is_text(bed_push(&bed), "nexus.sent_bytes.client:2147483648|c\n", "no more than 2^31");
	bed_send(&bed);
	bed_push(&bed);
	bed_send(&bed);
	is_text(bed_push(&bed), "nexus.sent_bytes.client:1073741831|c\n", "the rest comes later");
	bed_send(&bed);
	bed_add(&bed, METRIC_SENT_BYTES, bed_values("client", NULL, NULL), 9);
	ok(statsd_ledger_start_here(&bed.ledger, bed.registry) == 0, "a fresh start");
	is_text(bed_push(&bed), "", "forgets what was");
	bed_down(&bed);
}

/* With raw labels two names must not become one; else they are one already. */
static void test_names(void)
{
	struct bed bed;
	const char *one, *other;
	char kept[256];

	bed_up(&bed, DIALECT_PLAIN, "nexus_usage_missing_total", false);
	bed_add(&bed, METRIC_USAGE_MISSING, bed_values("a:b", "x-y", NULL), 1);
	bed_add(&bed, METRIC_USAGE_MISSING, bed_values("a/b", "x-y", NULL), 2);
	is_text(bed_push(&bed), "nexus.usage_missing.a_b.x_y:3|c\n", "sanitized: added up");
	bed_down(&bed);

	bed_up(&bed, DIALECT_PLAIN, "nexus_usage_missing_total", true);
	bed_add(&bed, METRIC_USAGE_MISSING, bed_values("a:b", "x-y", NULL), 1);
	snprintf(kept, sizeof(kept), "%s", bed_push(&bed));
	bed_send(&bed);
	bed_add(&bed, METRIC_USAGE_MISSING, bed_values("a/b", "x-y", NULL), 1);
	one = kept;
	other = bed_push(&bed);
	ok(strncmp(one, "nexus.usage_missing.a_b_", 24) == 0 && strstr(one, ".x-y:1|c\n"),
	   "raw: reduced, with a hash");
	ok(strncmp(other, "nexus.usage_missing.a_b_", 24) == 0 && strcmp(one, other) != 0,
	   "of its own");
	bed_send(&bed);
	bed_add(&bed, METRIC_USAGE_MISSING, bed_values("\"\\\n\xC3\xA4", "x", NULL), 1);
	ok(strncmp(bed_push(&bed), "nexus.usage_missing._____", 25) == 0,
	   "each character is one underscore");
	bed_down(&bed);
}

/* No two families, in either naming, have names that one receiver would take for one. */
static void test_families(void)
{
	char names[N_METRICS][STATSD_FAMILY_BYTES];
	bool is_unique = true;

	for (int clean = 0; clean < 2; clean++)
		for (int i = 0; i < N_METRICS; i++) {
			statsd_family(names[i], metric_name((enum metric)i, clean),
				      metric_row((enum metric)i)->unit);
			for (int j = 0; j < i; j++)
				is_unique &= strcmp(names[i], names[j]) != 0;
		}
	ok(is_unique, "names of families are unique");
	statsd_family(names[0], "nexus_request_duration_seconds", UNIT_SECONDS);
	is_text(names[0], "request_duration_ms", "seconds");
	statsd_family(names[0], "gateway_requests_total", UNIT_NONE);
	is_text(names[0], "gateway_requests", "another prefix stays");
	statsd_family(names[0], "nexus_received_bytes_total", UNIT_BYTES);
	is_text(names[0], "received_bytes", "bytes");
}

static void test_choice(void)
{
	char dc[] = "dc:fra1", env[] = "env:prod", prefix[] = "llm.gw";
	char a[] = "nexus_a*", requests[] = "nexus_requests_total", streams[] = "*_streams";
	char *tags[] = {dc, env}, *allow[] = {a, requests}, *deny[] = {streams};
	struct bed bed;

	bed_up(&bed, DIALECT_DOGSTATSD, NULL, false);
	bed.config.statsd.tags = tags;
	bed.config.statsd.n_tags = 2;
	bed.config.statsd.allow = allow;
	bed.config.statsd.n_allow = 2;
	bed.config.statsd.prefix = prefix;
	bed_add(&bed, METRIC_REQUESTS, bed_values("m", "a", "200"), 1);
	is_text(bed_push(&bed),
		"llm.gw.requests:1|c|#model:m,backend:a,status:200,dc:fra1,env:prod\n"
		"llm.gw.active_streams:0|g|#dc:fra1,env:prod\n",
		"a prefix, tags, allow");
	bed.config.statsd.deny = deny;
	bed.config.statsd.n_deny = 1;
	ok(!strstr(bed_push(&bed), "streams"), "deny wins");
	bed_down(&bed);
}

/* What a receiver makes of a rate: in doubles, not in what an x87 has more. */
static uint64_t times_of(const char *rate)
{
	volatile double times = 1 / strtod(rate, NULL);

	return (uint64_t)times;
}

static void test_rates(void)
{
	char text[STATSD_RATE_BYTES];
	uint64_t n = 2;
	bool is_exact = true;

	for (int i = 0; i < 200000; i++, n = n < 100000 ? n + 1 : n + n / 997 + 1) {
		if (n > STATSD_MAX_DELTA)
			break;
		is_exact &= times_of(statsd_rate(text, n)) == n && !strpbrk(text, "e-");
	}
	ok(is_exact, "every rate is that of exactly so many, cut or rounded");
	is_text(statsd_rate(text, 4), "0.25", "with as few digits as it needs");
	is_u64(times_of(statsd_rate(text, STATSD_MAX_DELTA)), STATSD_MAX_DELTA, "the largest");
}

int main(void)
{
	test_counters();
	test_histograms();
	test_remainders();
	test_gauges();
	test_deltas();
	test_names();
	test_families();
	test_choice();
	test_rates();
	return tap_done();
}
