/* SPDX-License-Identifier: Apache-2.0 */
#include "route/strategy.h"

#include <pthread.h>

#include "fleet.h"
#include "tap.h"

#define N_BACKENDS 3

/* A model on three backends, all usable. */
struct bed {
	struct fleet fleet;
	struct route_table *table;
	struct hash_random random;
	const struct candidate *usable[N_BACKENDS];
	struct choice choice;
};

static void bed_init(struct bed *bed)
{
	static const char *const names[N_BACKENDS] = {"a", "b", "c"};

	fleet_init(&bed->fleet);
	for (size_t i = 0; i < N_BACKENDS; i++) {
		fleet_add(&bed->fleet, names[i], BACKEND_GENERIC);
		fleet_discover(&bed->fleet, names[i], "m");
	}
	bed->table = fleet_build(&bed->fleet, NULL);
	hash_random_init(&bed->random, (struct hash_seed){1, 2});
	bed->choice = (struct choice){
		.table = bed->table,
		.model = fleet_find(bed->table, "m"),
		.usable = bed->usable,
		.n = N_BACKENDS,
		.random = &bed->random,
	};
	for (size_t i = 0; i < N_BACKENDS; i++)
		bed->usable[i] = &bed->choice.model->candidates[i];
}

static void bed_done(struct bed *bed)
{
	route_table_unref(bed->table);
	fleet_done(&bed->fleet);
}

static void set_backend(struct bed *bed, size_t i, const uint64_t values[3])
{
	struct backend *backend = bed->usable[i]->backend;

	bed->fleet.backend_configs[i].priority = values[0];
	atomic_store(&backend->pending, (int64_t)values[1]);
	atomic_store(&backend->ema_usec, values[2]);
}

/* How often each was picked of `n` times. */
static void tally(const struct bed *bed, const struct strategy *strategy, unsigned n,
		  unsigned counts[N_BACKENDS])
{
	memset(counts, 0, N_BACKENDS * sizeof(*counts));
	for (unsigned i = 0; i < n; i++)
		counts[strategy->pick(&bed->choice)]++;
}

static void check_counts(const unsigned got[N_BACKENDS], const unsigned want[N_BACKENDS],
			 const char *what)
{
	ok(memcmp(got, want, N_BACKENDS * sizeof(*got)) == 0, "%s: %u %u %u", what, got[0], got[1],
	   got[2]);
}

static void test_smart(struct bed *bed)
{
	static const struct {
		const char *what;
		uint64_t backends[N_BACKENDS][3]; /* priority, pending, average in µs */
		unsigned counts[N_BACKENDS];      /* of 6 picks */
	} cases[] = {
		{"equals take turns", {{50, 0, 0}, {50, 0, 0}, {50, 0, 0}}, {2, 2, 2}},
		{"the best priority", {{3, 0, 0}, {2, 0, 0}, {1, 0, 0}}, {0, 0, 6}},
		{"the least pending", {{50, 2, 0}, {50, 1, 0}, {50, 9, 0}}, {0, 6, 0}},
		{"the fastest", {{50, 0, 10000}, {50, 0, 900000}, {50, 0, 20000}}, {6, 0, 0}},
		{"ten milliseconds are one point",
		 {{50, 0, 10000}, {50, 0, 19999}, {50, 0, 20000}},
		 {3, 3, 0}},
		/* 50*99+30*100+20*100 = 9950; 50*100+30*98+20*100 = 9940; 50*98+.. = 9900 */
		{"a point of priority outweighs one pending, not two",
		 {{1, 0, 0}, {0, 2, 0}, {2, 0, 0}},
		 {6, 0, 0}},
		{"the other way round", {{1, 0, 0}, {0, 1, 0}, {2, 0, 0}}, {0, 6, 0}},
		{"scores end at 0", {{100, 0, 0}, {1000, 0, 0}, {5000, 0, 0}}, {2, 2, 2}},
		{"pending ends at 0", {{1, 100, 0}, {1, 4000, 0}, {2, 100, 0}}, {3, 3, 0}},
		{"latency ends at 0",
		 {{1, 0, 1000000}, {1, 0, 600000000}, {2, 0, 1000000}},
		 {3, 3, 0}},
	};
	unsigned counts[N_BACKENDS];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t k = 0; k < N_BACKENDS; k++)
			set_backend(bed, k, cases[i].backends[k]);
		tally(bed, &strategy_smart, 6, counts);
		check_counts(counts, cases[i].counts, cases[i].what);
	}
	bed->fleet.config.routing.weights.priority = 0;
	bed->fleet.config.routing.weights.load = 0;
	set_backend(bed, 0, (const uint64_t[]){0, 0, 500000});
	set_backend(bed, 1, (const uint64_t[]){90, 90, 400000});
	set_backend(bed, 2, (const uint64_t[]){0, 0, 600000});
	tally(bed, &strategy_smart, 6, counts);
	check_counts(counts, (const unsigned[]){0, 6, 0}, "the weights are the configuration's");
}

static void test_priority_only(struct bed *bed)
{
	unsigned counts[N_BACKENDS];

	set_backend(bed, 0, (const uint64_t[]){7, 0, 0});
	set_backend(bed, 1, (const uint64_t[]){1, 900, 9000000});
	set_backend(bed, 2, (const uint64_t[]){1, 0, 0});
	tally(bed, &strategy_priority_only, 10, counts);
	check_counts(counts, (const unsigned[]){0, 5, 5}, "only priority counts, equals in turn");
}

static void *pick_many(void *context)
{
	const struct bed *bed = context;
	static _Thread_local unsigned counts[N_BACKENDS];

	tally(bed, &strategy_round_robin, 3001, counts);
	return counts;
}

static void test_round_robin(struct bed *bed)
{
	uint64_t before = atomic_load(&bed->choice.model->state->turn);
	unsigned counts[N_BACKENDS];
	pthread_t other;

	tally(bed, &strategy_round_robin, 300, counts);
	check_counts(counts, (const unsigned[]){100, 100, 100}, "exactly even");
	is_u64(atomic_load(&bed->choice.model->state->turn) - before, 300, "one turn each");
	bed->choice.n = 1;
	tally(bed, &strategy_round_robin, 5, counts);
	is_u64(atomic_load(&bed->choice.model->state->turn) - before, 300,
	       "no turn is used up where there is no choice");
	bed->choice.n = N_BACKENDS;
	if (pthread_create(&other, NULL, pick_many, bed) == 0) {
		tally(bed, &strategy_round_robin, 3001, counts);
		pthread_join(other, NULL);
	}
	is_u64(atomic_load(&bed->choice.model->state->turn) - before, 6302,
	       "threads share the turns");
}

static void test_least_pending(struct bed *bed)
{
	unsigned counts[N_BACKENDS];

	set_backend(bed, 0, (const uint64_t[]){1, 3, 0});
	set_backend(bed, 1, (const uint64_t[]){90, 2, 9000000});
	set_backend(bed, 2, (const uint64_t[]){90, 2, 0});
	tally(bed, &strategy_least_pending, 10, counts);
	check_counts(counts, (const unsigned[]){0, 5, 5}, "only the load counts, equals in turn");
	atomic_store(&bed->usable[0]->backend->pending, -1);
	set_backend(bed, 1, (const uint64_t[]){90, 0, 0});
	tally(bed, &strategy_least_pending, 10, counts);
	check_counts(counts, (const unsigned[]){5, 5, 0}, "less than nothing is nothing");
}

static void test_power_of_two(struct bed *bed)
{
	unsigned counts[N_BACKENDS];

	set_backend(bed, 0, (const uint64_t[]){1, 9, 0});
	set_backend(bed, 1, (const uint64_t[]){1, 1, 0});
	set_backend(bed, 2, (const uint64_t[]){1, 5, 0});
	tally(bed, &strategy_power_of_two, 3000, counts);
	ok(counts[0] == 0, "the busiest never wins: %u", counts[0]);
	ok(counts[1] > 1800 && counts[1] < 2200, "the idlest wins two pairs of three: %u",
	   counts[1]);
	bed->choice.n = 1;
	is_u64(strategy_power_of_two.pick(&bed->choice), 0, "one is enough");
	bed->choice.n = N_BACKENDS;
}

/* Of each in turn; and how many of one came in a row at most. */
static unsigned longest_run(const struct bed *bed, unsigned n)
{
	size_t last = N_BACKENDS;
	unsigned run = 0, longest = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t picked = strategy_weighted.pick(&bed->choice);

		run = picked == last ? run + 1 : 1;
		last = picked;
		if (run > longest)
			longest = run;
	}
	return longest;
}

static void test_weighted(struct bed *bed)
{
	static const struct {
		unsigned weights[N_BACKENDS], longest;
	} cases[] = {
		{{1, 1, 1}, 1},       {{1, 2, 3}, 3},      {{5, 1, 1}, 3},
		{{2, 2, 4}, 2},       {{1000, 500, 1}, 4}, {{64, 64, 8}, 2},
		{{1, 1000, 1000}, 2}, {{7, 11, 13}, 2},    {{1000, 1000, 1000}, 2},
	};
	unsigned counts[N_BACKENDS];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const unsigned *weights = cases[i].weights;
		unsigned total = 0, longest;

		for (size_t k = 0; k < N_BACKENDS; k++) {
			bed->fleet.backend_configs[k].weight = weights[k];
			total += weights[k];
		}
		tally(bed, &strategy_weighted, total, counts);
		check_counts(counts, weights, "weights are shares, exactly");
		longest = longest_run(bed, 2 * total);
		ok(longest <= cases[i].longest, "spread out: %u in a row", longest);
	}
}

#define N_SESSIONS 3000

/* Where each session goes; and how many go to each backend. */
static void place_sessions(struct bed *bed, unsigned char places[N_SESSIONS],
			   unsigned counts[N_BACKENDS])
{
	memset(counts, 0, N_BACKENDS * sizeof(*counts));
	for (unsigned i = 0; i < N_SESSIONS; i++) {
		bed->choice.session = hash_stable(1, (struct str){(const char *)&i, sizeof(i)});
		places[i] = (unsigned char)(bed->usable[strategy_session.pick(&bed->choice)]
						    ->backend->name[0]);
		counts[places[i] - 'a']++;
	}
}

static bool is_near(unsigned got, unsigned want)
{
	return got * 100 > want * 93 && got * 100 < want * 107;
}

static unsigned count_moved(const unsigned char *one, const unsigned char *other,
			    unsigned char except)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N_SESSIONS; i++)
		n += one[i] != other[i] && one[i] != except;
	return n;
}

static void test_sessions(struct bed *bed)
{
	static unsigned char before[N_SESSIONS], after[N_SESSIONS];
	unsigned counts[N_BACKENDS];

	for (size_t i = 0; i < N_BACKENDS; i++) {
		bed->fleet.backend_configs[i].weight = 1;
		set_backend(bed, i, (const uint64_t[]){50, 0, 0});
	}
	place_sessions(bed, before, counts);
	ok(is_near(counts[0], 1000) && is_near(counts[1], 1000) && is_near(counts[2], 1000),
	   "even: %u %u %u", counts[0], counts[1], counts[2]);
	place_sessions(bed, after, counts);
	is_u64(count_moved(before, after, 0), 0, "they stay where they are");
	/* b is out; the order of the others changes, too. */
	bed->usable[0] = &bed->choice.model->candidates[2];
	bed->usable[1] = &bed->choice.model->candidates[0];
	bed->choice.n = 2;
	place_sessions(bed, after, counts);
	is_u64(count_moved(before, after, 'b'), 0, "when one goes only its own move");
	ok(is_near(counts[0], 1500), "to all of the others: %u", counts[0]);
	for (size_t i = 0; i < N_BACKENDS; i++)
		bed->usable[i] = &bed->choice.model->candidates[i];
	bed->choice.n = N_BACKENDS;
	bed->fleet.backend_configs[0].weight = 4;
	place_sessions(bed, after, counts);
	ok(is_near(counts[0], 2000) && is_near(counts[1], 500), "by weight: %u %u %u", counts[0],
	   counts[1], counts[2]);
}

static void test_session_bounds(struct bed *bed)
{
	unsigned counts[N_BACKENDS];
	size_t home;

	bed->fleet.backend_configs[0].weight = 1;
	bed->choice.session = 77;
	home = strategy_session.pick(&bed->choice);
	for (size_t i = 0; i < N_BACKENDS; i++)
		set_backend(bed, i, (const uint64_t[]){50, 40, 0});
	is_u64(strategy_session.pick(&bed->choice), home, "busy, but not busier than others");
	atomic_store(&bed->usable[home]->backend->pending, 60);
	ok(strategy_session.pick(&bed->choice) != home, "above 5/4 of its share it is passed by");
	bed->fleet.backend_configs[home].weight = 3;
	is_u64(strategy_session.pick(&bed->choice), home, "a heavier one may have more");
	bed->fleet.backend_configs[home].weight = 1;
	/* One session alone, all of whose requests stay in flight. */
	for (size_t i = 0; i < N_BACKENDS; i++)
		set_backend(bed, i, (const uint64_t[]){50, 0, 0});
	memset(counts, 0, sizeof(counts));
	for (unsigned i = 0; i < 300; i++) {
		size_t picked = strategy_session.pick(&bed->choice);

		counts[picked]++;
		atomic_fetch_add(&bed->usable[picked]->backend->pending, 1);
	}
	ok(counts[home] >= 100 && counts[home] <= 126, "one session never buries its backend: %u",
	   counts[home]);
}

static void test_session_unknown(struct bed *bed)
{
	unsigned counts[N_BACKENDS];

	for (size_t i = 0; i < N_BACKENDS; i++)
		set_backend(bed, i, (const uint64_t[]){i == 1 ? 1 : 90, 0, 0});
	bed->choice.session = 0;
	tally(bed, &strategy_session, 6, counts);
	check_counts(counts, (const unsigned[]){0, 6, 0}, "without a session it is smart");
}

static void test_random(struct bed *bed)
{
	unsigned counts[N_BACKENDS];

	tally(bed, &strategy_random, 3000, counts);
	for (size_t i = 0; i < N_BACKENDS; i++)
		ok(counts[i] > 800 && counts[i] < 1200, "random: %u of 3000 for one of three",
		   counts[i]);
}

/* The words that the schema offers for routing.strategy. */
static void test_list(void)
{
	char path[4096], line[2048], names[512] = "";
	const char *source = getenv("srcdir");
	bool is_offered = false;
	FILE *schema;

	for (size_t i = 0; strategy_at(i); i++) {
		size_t n = strlen(names);

		(void)snprintf(names + n, sizeof(names) - n, "%s%s", i ? " " : "",
			       strategy_at(i)->name);
	}
	(void)snprintf(path, sizeof(path), "%s/src/config/schema.def", source ? source : ".");
	schema = fopen(path, "r");
	if (!schema) {
		tap_skip("the schema offers the strategies there are", "no source tree");
		return;
	}
	(void)snprintf(path, sizeof(path), "\"%s\"", names);
	while (!is_offered && fgets(line, sizeof(line), schema))
		is_offered = strstr(line, "\"routing.strategy\"") && strstr(line, path);
	(void)fclose(schema);
	ok(is_offered, "the schema offers exactly: %s", names);
}

int main(void)
{
	static struct bed bed;

	bed_init(&bed);
	test_round_robin(&bed);
	test_sessions(&bed);
	test_session_bounds(&bed);
	test_session_unknown(&bed);
	test_smart(&bed);
	test_priority_only(&bed);
	test_least_pending(&bed);
	test_power_of_two(&bed);
	test_weighted(&bed);
	test_random(&bed);
	bed_done(&bed);
	test_list();
	return tap_done();
}
