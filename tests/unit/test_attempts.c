/* SPDX-License-Identifier: Apache-2.0 */
#include "route/attempts.h"

#include <errno.h>

#include "attempts_bed.h"
#include "base/clock.h"
#include "base/jsonx.h"
#include "tap.h"

static const struct {
	const char *what, *states, *model;
	uint64_t max_retries;
	unsigned needs;
	enum attempts_verdict verdict;
	const char *walk;
} walks[] = {
	{"each backend once, then the fallbacks", "", "m", 2, 0, ATTEMPTS_EXHAUSTED,
	 "m/a m/b m/c f/d g/a g/d ~f/d ~f/d"},
	{"fewer tries than backends", "", "m", 1, 0, ATTEMPTS_EXHAUSTED,
	 "m/a m/b f/d g/a g/d ~f/d"},
	{"one try for each model", "", "m", 0, 0, ATTEMPTS_EXHAUSTED, "m/a f/d g/a"},
	{"a fallback before the same backend again", "b- c-", "m", 2, 0, ATTEMPTS_EXHAUSTED,
	 "m/a f/d g/a g/d ~m/a ~m/a"},
	{"the only backend again", "", "lone", 2, 0, ATTEMPTS_EXHAUSTED, "lone/a ~lone/a ~lone/a"},
	{"never again without retries", "", "lone", 0, 0, ATTEMPTS_EXHAUSTED, "lone/a"},
	{"unhealthy backends are left out", "a- d-", "m", 1, 0, ATTEMPTS_EXHAUSTED, "m/b m/c"},
	{"draining backends are left out", "a~ d~", "m", 1, 0, ATTEMPTS_EXHAUSTED, "m/b m/c"},
	{"nothing is left to a drained model", "a~", "lone", 1, 0, ATTEMPTS_NO_HEALTHY, ""},
	{"who said 429 is left alone", "a* d*", "m", 1, 0, ATTEMPTS_EXHAUSTED, "m/b m/c"},
	{"the last one, too", "a*", "lone", 1, 0, ATTEMPTS_NO_HEALTHY, ""},
	{"an open circuit is better than that", "a/ b* c-", "m", 0, 0, ATTEMPTS_EXHAUSTED,
	 "m/a f/d g/d"},
	{"open circuits are heeded", "a/ c/ d/", "m", 1, 0, ATTEMPTS_EXHAUSTED,
	 "m/b f/d g/a g/d ~m/b"},
	{"unless nothing else is usable", "a/ b- c/ d-", "m", 2, 0, ATTEMPTS_EXHAUSTED,
	 "m/a m/c g/a ~m/c"},
	{"the only backend is spared", "a/", "lone", 1, 0, ATTEMPTS_EXHAUSTED, "lone/a ~lone/a"},
	{"what was not checked yet is tried", "a- b? c-", "m", 0, 0, ATTEMPTS_EXHAUSTED,
	 "m/b f/d g/d"},
	{"all unhealthy", "a- b- c- d-", "m", 2, 0, ATTEMPTS_NO_HEALTHY, ""},
	{"only a fallback is healthy", "a- b- c-", "m", 0, 0, ATTEMPTS_EXHAUSTED, "f/d g/d"},
	{"nobody lists it", "", "ghost", 2, 0, ATTEMPTS_NO_BACKEND, ""},
	{"an alias of what nobody lists", "", "spectre", 2, 0, ATTEMPTS_NO_BACKEND, ""},
	{"a known no excludes", "a!", "m", 1, NEED_VISION, ATTEMPTS_EXHAUSTED,
	 "m/b m/c f/d g/d ~f/d"},
	{"what is not known does not", "a!", "m", 0, NEED_TOOLS, ATTEMPTS_EXHAUSTED, "m/a f/d g/a"},
	{"no backend can do it", "a!", "lone", 2, NEED_VISION, ATTEMPTS_MISMATCH, ""},
	{"no backend can, well or not", "a! a-", "lone", 2, NEED_VISION, ATTEMPTS_MISMATCH, ""},
	{"who can is unhealthy", "a! b! c- d!", "m", 2, NEED_VISION, ATTEMPTS_NO_HEALTHY, ""},
	{"a fallback that could is unhealthy", "a! b! c! d-", "m", 2, NEED_VISION,
	 ATTEMPTS_NO_HEALTHY, ""},
	{"nobody can, a fallback has no backend", "a! b! c! d!", "m", 2, NEED_VISION,
	 ATTEMPTS_NO_BACKEND, ""},
};

static void test_walks(void)
{
	static struct bed bed;
	char text[512];

	for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
		enum attempts_verdict verdict;

		bed_init(&bed);
		set_up(&bed, walks[i].states);
		bed.fleet.config.routing.max_retries = walks[i].max_retries;
		ask(&bed, walks[i].model);
		bed.attempts.needs = walks[i].needs;
		verdict = walk(&bed, text, sizeof(text));
		is_int(verdict, walks[i].verdict, "verdict: %s", walks[i].what);
		is_text(text, walks[i].walk, "walk: %s", walks[i].what);
		is_int(attempts_next(&bed.attempts, &(const struct candidate *){NULL},
				     &(uint64_t){0}),
		       walks[i].verdict, "and it stays at that");
		bed_done(&bed);
	}
}

/* Of the bed's backends a and c are restricted, d is open; tiers are 1, 2, 3 and 4. */
static const struct {
	const char *what, *policies, *asked, *walk;
	enum tier_wish wish;
	enum attempts_verdict verdict;
	unsigned n_privacy, n_tier;
} demands[] = {
	{"no policy fits", "x* r0", "m", "m/a m/b m/c f/d g/a g/d", 0, ATTEMPTS_EXHAUSTED, 0, 0},
	{"open demands nothing", "m o0", "m", "m/a m/b m/c f/d g/a g/d", 0, ATTEMPTS_EXHAUSTED, 0,
	 0},
	{"a zone, also of fallbacks", "m r0", "m", "m/a m/c g/a", 0, ATTEMPTS_EXHAUSTED, 3, 0},
	{"the first that fits counts", "m o0,* r0", "m", "m/a m/b m/c g/a", 0, ATTEMPTS_EXHAUSTED,
	 2, 0},
	{"a fallback's own demand", "g r0", "m", "m/a m/b m/c f/d g/a", 0, ATTEMPTS_EXHAUSTED, 1,
	 0},
	{"a least tier", "m o2", "m", "m/b m/c f/d g/d", 0, ATTEMPTS_EXHAUSTED, 0, 2},
	{"the higher of two", "m o2,g o4", "m", "m/b m/c f/d g/d", 0, ATTEMPTS_EXHAUSTED, 0, 2},
	{"no higher tier", "m o2", "m", "m/b", TIER_STRICT, ATTEMPTS_EXHAUSTED, 0, 5},
	{"nor where the policy says so", "m s2", "m", "m/b", 0, ATTEMPTS_EXHAUSTED, 0, 5},
	{"unless the client says otherwise", "m s2", "m", "m/b m/c f/d g/d", TIER_FLEXIBLE,
	 ATTEMPTS_EXHAUSTED, 0, 2},
	{"flexible does not go below", "m o4", "m", "f/d g/d", TIER_FLEXIBLE, ATTEMPTS_EXHAUSTED, 0,
	 4},
	{"strict about no tier is nothing", "m o0", "m", "m/a m/b m/c f/d g/a g/d", TIER_STRICT,
	 ATTEMPTS_EXHAUSTED, 0, 0},
	{"zone and tier", "m r2", "m", "m/c", 0, ATTEMPTS_EXHAUSTED, 3, 2},
	{"nobody may", "lone o2", "lone", "", 0, ATTEMPTS_NO_HEALTHY, 0, 1},
	{"nobody may, in all the chain", "* o5", "m", "", 0, ATTEMPTS_NO_HEALTHY, 0, 6},
	{"of an alias", "nick* r0", "nickname", "m/a m/c g/a", 0, ATTEMPTS_EXHAUSTED, 3, 0},
	{"of an alias and its model", "nick* r0,m o3", "nickname", "m/c", 0, ATTEMPTS_EXHAUSTED, 3,
	 2},
	{"the alias's alone is no demand of the model", "nick* r0", "m", "m/a m/b m/c f/d g/a g/d",
	 0, ATTEMPTS_EXHAUSTED, 0, 0},
	{"of the alias that names a fallback", "stand* r0", "n", "n/a g/a", 0, ATTEMPTS_EXHAUSTED,
	 1, 0},
	{"of the alias behind that", "under* o4", "n", "n/a g/d", 0, ATTEMPTS_EXHAUSTED, 0, 1},
	{"of each name of a fallback that has two", "stand* r0", "o", "o/b g/a", 0,
	 ATTEMPTS_EXHAUSTED, 1, 0},
	{"of that fallback alone", "stand* r0", "g", "g/a g/d", 0, ATTEMPTS_EXHAUSTED, 0, 0},
};

/* "m r2,g s0": a pattern, then r for restricted, s for strict or o for neither, and the tier. */
static void add_policies(struct bed *bed, const char *policies)
{
	static char names[FLEET_MAX][8];
	struct str rest = str_of(policies);

	for (size_t i = 0; rest.p; i++) {
		struct str policy = str_split(&rest, ','), match = str_split(&policy, ' ');
		struct policy_config *config;

		(void)snprintf(names[i], sizeof(names[i]), "%.*s", (int)match.n, match.p);
		config = fleet_policy(&bed->fleet, names[i]);
		config->restricted = policy.p[0] == 'r';
		config->strict = policy.p[0] == 's';
		config->min_tier = (uint64_t)(policy.p[1] - '0');
	}
}

static void test_demands(void)
{
	static struct bed bed;
	char text[512];

	for (size_t i = 0; i < ARRAY_SIZE(demands); i++) {
		bed_init(&bed);
		fleet_alias(&bed.fleet, "nickname", "m");
		fleet_alias(&bed.fleet, "stand-in", "understudy");
		fleet_alias(&bed.fleet, "understudy", "g");
		fleet_discover(&bed.fleet, "a", "m g lone n");
		fleet_discover(&bed.fleet, "b", "m o");
		fleet_fallback(&bed.fleet, "n", (const char *const[]){"stand-in", NULL});
		fleet_fallback(&bed.fleet, "o", (const char *const[]){"g", "stand-in", NULL});
		add_policies(&bed, demands[i].policies);
		for (size_t k = 0; k < bed.fleet.config.n_backends; k++) {
			bed.fleet.backend_configs[k].tier = k + 1;
			bed.fleet.backend_configs[k].zone = (char *)(k % 2 ? "open" : "restricted");
		}
		set_up(&bed, "");
		ask(&bed, demands[i].asked);
		bed.attempts.demand =
			route_table_demand(bed.table, bed.attempts.asked, str_of(demands[i].asked));
		bed.attempts.tier_wish = demands[i].wish;
		bed.fleet.config.routing.max_retries = 2;
		is_int(walk_once(&bed, text, sizeof(text)), demands[i].verdict, "verdict: %s",
		       demands[i].what);
		is_text(text, demands[i].walk, "walk: %s", demands[i].what);
		is_u64(bed.attempts.excluded[EXCLUDED_PRIVACY], demands[i].n_privacy, "by zone");
		is_u64(bed.attempts.excluded[EXCLUDED_TIER], demands[i].n_tier, "by tier");
		ok(attempts_has_left_out(&bed.attempts, EXCLUDED_PRIVACY) ==
			   (demands[i].n_privacy > 0),
		   "which is remembered");
		bed_done(&bed);
	}
}

/* Of a fallback on the same backends those come first that have not failed yet. */
static void test_fallback_on_the_same_backends(void)
{
	static struct bed bed;
	char text[64];

	bed_init(&bed);
	fleet_discover(&bed.fleet, "a", "m g k");
	fleet_discover(&bed.fleet, "b", "m k");
	fleet_discover(&bed.fleet, "d", "f g k");
	fleet_fallback(&bed.fleet, "k", (const char *const[]){"m", "g", NULL});
	set_up(&bed, "");
	bed.fleet.config.routing.max_retries = 1;
	ask(&bed, "k");
	is_int(walk(&bed, text, sizeof(text)), ATTEMPTS_EXHAUSTED, "all have failed");
	is_text(text, "k/a k/b m/c m/a g/d g/a", "c and d before a comes again");
	bed_done(&bed);
}

/* The mismatch of a whole chain: every model has candidates, none of them can. */
static void test_mismatch_of_chain(void)
{
	static struct bed bed;
	char text[64];

	bed_init(&bed);
	bed.fleet.fallbacks[0].n_to = 2;
	set_up(&bed, "a! b! c! d!");
	ask(&bed, "m");
	bed.attempts.prompt_tokens_min = 101;
	is_int(walk(&bed, text, sizeof(text)), ATTEMPTS_MISMATCH, "too long for every model");
	is_u64(bed.attempts.excluded[EXCLUDED_CAPABILITY], 6, "candidates of all models counted");
	is_u64(bed.attempts.excluded[EXCLUDED_UNHEALTHY], 0, "each by its reason");
	attempts_done(&bed.attempts);
	ask(&bed, "m");
	bed.attempts.prompt_tokens_min = 100;
	is_int(walk(&bed, text, sizeof(text)), ATTEMPTS_EXHAUSTED, "it just fits");
	bed_done(&bed);
}

static void test_optional(void)
{
	static struct bed bed;
	char text[64];

	bed_init(&bed);
	bed.fleet.backend_configs[0].optional = true;
	set_up(&bed, "a?");
	ask(&bed, "lone");
	is_int(walk(&bed, text, sizeof(text)), ATTEMPTS_NO_HEALTHY,
	       "an optional backend is not tried before it has answered");
	attempts_done(&bed.attempts);
	set_up(&bed, "");
	ask(&bed, "lone");
	is_int(walk(&bed, text, sizeof(text)), ATTEMPTS_EXHAUSTED, "afterwards it is");
	bed_done(&bed);
}

static void test_backoff(void)
{
	static struct bed bed;
	const struct candidate *candidate;
	uint64_t wait_ns, most_ns = 100 * NS_PER_MSEC, largest_ns = 0;
	bool is_below = true, is_first = true;

	bed_init(&bed);
	bed.fleet.config.routing.max_retries = 200;
	ask(&bed, "lone");
	while (attempts_next(&bed.attempts, &candidate, &wait_ns) == ATTEMPTS_GO) {
		if (is_first) {
			is_u64(wait_ns, 0, "the first attempt does not wait");
			is_first = false;
			continue;
		}
		is_below &= wait_ns <= most_ns;
		if (wait_ns > largest_ns)
			largest_ns = wait_ns;
		most_ns = most_ns < NS_PER_SEC ? most_ns * 2 : 2 * NS_PER_SEC;
	}
	ok(is_below, "waits are within 0.1, 0.2, 0.4 ... 2 seconds");
	ok(largest_ns > 1500 * NS_PER_MSEC, "and use that range");
	is_u64(bed.attempts.tries, 201, "as many tries as allowed");
	is_u64(bed.attempts.n_records, 0, "nothing was noted");
	bed_done(&bed);
}

/* What was chosen before a wait may be out of the question after it. */
static void test_confirm(void)
{
	static struct bed bed;
	const struct candidate *candidate;
	uint64_t wait_ns;
	struct backend *a;

	bed_init(&bed);
	set_up(&bed, "");
	a = fleet_backend(&bed.fleet, "a");
	atomic_store(&a->places, 1);
	ask(&bed, "lone");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	ok(!attempts_may_retry_at_once(&bed.attempts) && attempts_may_retry(&bed.attempts),
	   "only the same backend may come again, after a wait");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	ok(attempts_confirm(&bed.attempts), "it may still, on the place that it has");
	is_u64(bed.attempts.tries, 2, "as the second try");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	(void)backend_drain(a, BACKEND_DRAIN_ADDRESS);
	ok(!attempts_confirm(&bed.attempts), "not when it is drained");
	is_u64(bed.attempts.tries, 2, "that was no try");
	is_u64(attempts_tries(&bed.attempts), 2, "of the model neither");
	is_int(atomic_load(&a->pending), 0, "the place is given back");
	is_int(attempts_next(&bed.attempts, &candidate, &wait_ns), ATTEMPTS_EXHAUSTED,
	       "and nobody is left");
	bed_done(&bed);
}

static void test_may_retry(void)
{
	static struct bed bed;
	const struct candidate *candidate;
	uint64_t wait_ns;

	bed_init(&bed);
	set_up(&bed, "b- c- d-");
	bed.fleet.config.routing.max_retries = 1;
	ask(&bed, "m");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	ok(attempts_may_retry(&bed.attempts), "the same backend may come again");
	attempts_done(&bed.attempts);

	bed.fleet.config.routing.max_retries = 0;
	ask(&bed, "m");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	ok(attempts_may_retry(&bed.attempts), "a fallback is left");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	is_text(attempts_model(&bed.attempts)->id, "g", "which is g, on a");
	ok(!attempts_may_retry(&bed.attempts), "now nothing is left");
	attempts_done(&bed.attempts);

	fleet_set_health(&bed.fleet, "d", BACKEND_HEALTHY);
	bed.fleet.config.routing.max_retries = 1;
	ask(&bed, "m");
	for (int i = 0; i < 4; i++)
		(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	is_text(attempts_model(&bed.attempts)->id, "g", "the last fallback has had its tries");
	ok(attempts_may_retry(&bed.attempts), "m has one left");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	is_text(attempts_model(&bed.attempts)->id, "m", "and gets it");
	is_u64(attempts_tries(&bed.attempts), 2, "as its second");
	ok(!attempts_may_retry(&bed.attempts), "that was the last");
	bed_done(&bed);
}

/* b was asked and has places, a was not and has none. */
static void test_last_try(void)
{
	static struct bed bed;
	const struct candidate *candidate;
	uint64_t wait_ns;
	struct backend *a, *b;

	bed_init(&bed);
	set_up(&bed, "c- d-");
	bed.fleet.config.routing.max_retries = 2;
	bed.fleet.config.queue.enabled = true;
	a = fleet_backend(&bed.fleet, "a");
	b = fleet_backend(&bed.fleet, "b");
	atomic_store(&a->places, 1);
	atomic_store(&a->pending, 1);
	ask(&bed, "m");
	for (int i = 0; i < 2; i++) {
		is_int(attempts_next(&bed.attempts, &candidate, &wait_ns), ATTEMPTS_GO, "a try");
		ok(candidate->backend == b, "at b");
		ok(attempts_may_retry(&bed.attempts) == (i == 0), "only one more may follow");
		(void)attempts_note(&bed.attempts, OUTCOME_HTTP_5XX, 500);
	}
	is_int(attempts_next(&bed.attempts, &candidate, &wait_ns), ATTEMPTS_SATURATED,
	       "the last one waits for a");
	ok(attempts_wants(&bed.attempts, a) && !attempts_wants(&bed.attempts, b), "and only for a");
	fleet_set_health(&bed.fleet, "a", BACKEND_UNHEALTHY);
	ok(!attempts_may_wait(&bed.attempts), "which is down: there is nothing to wait for");
	is_int(attempts_next(&bed.attempts, &candidate, &wait_ns), ATTEMPTS_GO, "it is made");
	ok(candidate->backend == b, "at b again");
	bed_done(&bed);
}

static void test_may_ask_another(void)
{
	static struct bed bed;
	const struct candidate *candidate;
	uint64_t wait_ns;

	bed_init(&bed);
	set_up(&bed, "c-");
	ask(&bed, "m");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	ok(attempts_may_ask_another(&bed.attempts), "a was asked, b was not");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	ok(!attempts_may_ask_another(&bed.attempts), "neither a again, nor another model's");
	attempts_done(&bed.attempts);
	bed.fleet.config.routing.max_retries = 0;
	ask(&bed, "m");
	(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
	ok(!attempts_may_ask_another(&bed.attempts), "nobody, if nothing may be retried");
	bed_done(&bed);
}

static void test_retryable(void)
{
	static const struct {
		enum outcome outcome;
		unsigned status;
		bool is_retryable;
	} cases[] = {
		{OUTCOME_OK, 200, false},       {OUTCOME_HTTP_4XX, 400, false},
		{OUTCOME_HTTP_4XX, 401, false}, {OUTCOME_HTTP_4XX, 404, false},
		{OUTCOME_HTTP_4XX, 408, true},  {OUTCOME_HTTP_429, 429, true},
		{OUTCOME_HTTP_5XX, 500, true},  {OUTCOME_TIMEOUT, 0, true},
		{OUTCOME_CONNECT, 0, true},     {OUTCOME_TLS, 0, true},
		{OUTCOME_DNS, 0, true},         {OUTCOME_RESET, 0, true},
		{OUTCOME_TRUNCATED, 200, true}, {OUTCOME_PARSE, 200, true},
		{OUTCOME_CANCELLED, 0, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ok(attempts_is_retryable(cases[i].outcome, cases[i].status) ==
			   cases[i].is_retryable,
		   "%s %u is %sretried", outcome_name(cases[i].outcome), cases[i].status,
		   cases[i].is_retryable ? "" : "not ");
}

static void test_suspect(void)
{
	static const struct {
		enum outcome outcome;
		bool is_suspect;
	} cases[] = {
		{OUTCOME_CONNECT, true},  {OUTCOME_RESET, true},     {OUTCOME_TLS, true},
		{OUTCOME_DNS, true},      {OUTCOME_HTTP_5XX, false}, {OUTCOME_OK, false},
		{OUTCOME_TIMEOUT, false}, {OUTCOME_PARSE, false},    {OUTCOME_CANCELLED, false},
	};
	static struct bed bed;
	struct backend *a;

	bed_init(&bed);
	a = fleet_backend(&bed.fleet, "a");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct candidate *candidate;
		uint64_t wait_ns;

		ask(&bed, "lone");
		atomic_store(&a->suspect, false);
		(void)attempts_next(&bed.attempts, &candidate, &wait_ns);
		attempts_note(&bed.attempts, cases[i].outcome, 0);
		ok(atomic_load(&a->suspect) == cases[i].is_suspect, "%s makes %s suspect",
		   outcome_name(cases[i].outcome), cases[i].is_suspect ? "it" : "nobody");
		attempts_done(&bed.attempts);
	}
	bed_done(&bed);
}

static void test_context(void)
{
	static struct bed bed;
	char text[512];
	struct buf out;
	int r;

	buf_init(&out, 4096);
	bed_init(&bed);
	set_up(&bed, "a! b-");
	bed.fleet.config.routing.max_retries = 0;
	ask(&bed, "m");
	bed.attempts.needs = NEED_VISION;
	(void)walk(&bed, text, sizeof(text));
	bed.attempts.records[0].outcome = OUTCOME_CONNECT;
	bed.attempts.records[0].status = 0;
	r = attempts_context(&bed.attempts, false, &out);
	is_int(r, 0, "the context is written");
	ok(str_eq(buf_str(&out),
		  STR_LITERAL("{\"model\":\"m\",\"tried\":["
			      "{\"backend\":\"c\",\"outcome\":\"connect\",\"status\":null},"
			      "{\"backend\":\"d\",\"outcome\":\"http_5xx\",\"status\":503},"
			      "{\"backend\":\"d\",\"outcome\":\"http_5xx\",\"status\":503}],"
			      "\"excluded\":[{\"backend\":\"a\",\"reason\":\"capability\","
			      "\"missing\":\"vision\"},"
			      "{\"backend\":\"b\",\"reason\":\"unhealthy\"}],"
			      "\"retry_after_seconds\":1}")),
	   "after attempts: %.*s", (int)out.len, out.data);
	is_u64(bed.attempts.excluded[EXCLUDED_UNHEALTHY], 1, "b counted once");
	is_u64(bed.attempts.excluded[EXCLUDED_CAPABILITY], 2, "a counted for m and for g");
	attempts_done(&bed.attempts);

	buf_clear(&out);
	set_up(&bed, "a- b- c- d-");
	bed.fleet.config.health.interval = 12 * NS_PER_SEC + 1;
	ask(&bed, "lone");
	(void)walk(&bed, text, sizeof(text));
	r = attempts_context(&bed.attempts, false, &out);
	ok(r == 0 && str_eq(buf_str(&out),
			    STR_LITERAL("{\"model\":\"lone\",\"tried\":[],\"excluded\":["
					"{\"backend\":\"a\",\"reason\":\"unhealthy\"}],"
					"\"retry_after_seconds\":13}")),
	   "without any: %.*s", (int)out.len, out.data);

	buf_done(&out);
	buf_init(&out, 20);
	is_int(attempts_context(&bed.attempts, false, &out), -EMSGSIZE, "a ceiling is told");
	buf_done(&out);
	bed_done(&bed);
}

/* More backends than fit a word, and more attempts than are recorded. */
static void test_many(void)
{
	static struct bed bed;
	char text[4096], name[16];
	unsigned n_names = 0;
	struct buf out;
	int r;

	fleet_init(&bed.fleet);
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "b%02u", i);
		fleet_add(&bed.fleet, name, BACKEND_GENERIC);
		fleet_discover(&bed.fleet, name, "m");
		fleet_set_health(&bed.fleet, name, i < 50 ? BACKEND_HEALTHY : BACKEND_UNKNOWN);
	}
	bed.fleet.config.routing.max_retries = 99;
	hash_random_init(&bed.random, (struct hash_seed){5, 6});
	bed.table = fleet_build(&bed.fleet, NULL);
	ask(&bed, "m");
	is_int(walk(&bed, text, sizeof(text)), ATTEMPTS_EXHAUSTED, "a hundred attempts");
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "m/b%02u", i);
		n_names += strstr(text, name) != NULL;
	}
	is_u64(n_names, 100, "every backend was tried");
	ok(!strchr(text, '~'), "none of them twice");
	is_u64(bed.attempts.n_records, ATTEMPTS_RECORDED_MAX, "the first ones are recorded");
	buf_init(&out, 65536);
	for (unsigned i = 0; i < 100; i++)
		atomic_store(&bed.table->backends[i]->health, BACKEND_UNHEALTHY);
	r = attempts_context(&bed.attempts, false, &out);
	ok(r == 0 && out.len < 4096, "the context has a ceiling: %zu bytes", out.len);
	buf_done(&out);
	bed_done(&bed);
}

/* It may arrive for as long as its client likes. */
static void test_body_that_arrives(void)
{
	static const char *const rows[][2] = {{"m", "b"}, {"lone", "a"}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct candidate *candidate = NULL;
		struct breaker *breaker;
		uint64_t wait_ns;
		struct bed bed;

		bed_init(&bed);
		breaker = &fleet_find(bed.table, "lone")->candidates[0].backend->breaker;
		atomic_store(&breaker->until_ns, 1);
		ask(&bed, rows[i][0]);
		bed.attempts.body_arrives = true;
		ok(attempts_next(&bed.attempts, &candidate, &wait_ns) == ATTEMPTS_GO,
		   "%s: somebody is asked", rows[i][0]);
		is_text(candidate->backend->name, rows[i][1], "%s: who need not be probed, or must",
			rows[i][0]);
		ok(!breaker_refuses(breaker), "%s: the probe is left to another request",
		   rows[i][0]);
		bed_done(&bed);
	}
}

static void test_names(void)
{
	is_text(exclusion_name(EXCLUDED_UNHEALTHY), "unhealthy", "the first reason");
	is_text(exclusion_name(EXCLUDED_DRAINING), "draining", "the second reason");
	is_text(exclusion_name(EXCLUDED_CIRCUIT_OPEN), "circuit_open", "the one after it");
	is_text(exclusion_name(EXCLUDED_RATE_LIMITED), "rate_limited_upstream", "and the next");
	is_text(exclusion_name(EXCLUDED_SATURATED), "saturated", "and the last of these");
	is_text(exclusion_name(EXCLUDED_CAPABILITY), "capability", "the third reason");
	is_text(exclusion_name(EXCLUDED_PRIVACY), "privacy", "the fourth reason");
	is_text(exclusion_name(EXCLUDED_TIER), "tier", "the fifth reason");
}

int main(void)
{
	test_walks();
	test_demands();
	test_fallback_on_the_same_backends();
	test_mismatch_of_chain();
	test_optional();
	test_backoff();
	test_confirm();
	test_may_retry();
	test_last_try();
	test_may_ask_another();
	test_retryable();
	test_suspect();
	test_context();
	test_many();
	test_body_that_arrives();
	test_names();
	return tap_done();
}
