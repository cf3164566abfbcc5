/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What choosing a backend costs, with 50 backends that all have 1,000 models, some aliases and some
 * policies: from the name in the request to the first attempt, by each strategy; medians over
 * rounds, in nanoseconds of CPU. A person reads it; nothing is judged. With an argument: so many
 * rounds instead of 15.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "route/attempts.h"

enum {
	N_BACKENDS = 50,
	N_MODELS = 1000,
	N_ALIASES = 100,
	N_POLICIES = 20,
	N_NAMES = 4096,
	N_DECISIONS = 20000,
	MAX_ROUNDS = 101
};

static struct {
	char names[N_NAMES][32];
	struct hash_random random;
	struct registry *registry;
	struct backends *backends;
	uint64_t n_refused; /* decisions that chose nobody: none is expected */
} bench;

static void need(bool is_good, const char *what)
{
	if (is_good)
		return;
	fprintf(stderr, "route: %s\n", what);
	exit(1);
}

static void write_backends(struct buf *out)
{
	int r = buf_printf(out, "backends = (");

	for (unsigned i = 0; i < N_BACKENDS && r == 0; i++)
		r = buf_printf(out,
			       "%s{ name = \"backend-%u\"; type = \"%s\"; url = \"http://h:%u\";"
			       " priority = %u; weight = %u; tier = %u; }",
			       i ? "," : "", i, i % 5 ? "vllm" : "openai", 1000 + i, i % 7,
			       1 + i % 9, 1 + i % 3);
	if (r == 0)
		r = buf_printf(out, ");\n");
	need(r == 0, "no memory");
}

static void write_routing(struct buf *out, const char *strategy)
{
	int r = buf_printf(out, "routing: { strategy = \"%s\"; aliases = (", strategy);

	for (unsigned i = 0; i < N_ALIASES && r == 0; i++)
		r = buf_printf(out, "%s{ name = \"alias-%u\"; model = \"model-%u\"; }",
			       i ? "," : "", i, i * 3);
	if (r == 0)
		r = buf_printf(out, "); policies = (");
	for (unsigned i = 0; i < N_POLICIES && r == 0; i++)
		r = buf_printf(out, "%s{ match = \"*-%u?\"; zone = \"%s\"; min_tier = %u; }",
			       i ? "," : "", i, i % 2 ? "restricted" : "open", i % 3);
	if (r == 0)
		r = buf_printf(out, "); };\n");
	need(r == 0, "no memory");
}

/* As health checks would have found it: so many models make no series before they are used. */
static void fill(struct backend *backend)
{
	struct backend_model *models = calloc(N_MODELS, sizeof(*models));

	need(models, "no memory");
	for (unsigned i = 0; i < N_MODELS; i++)
		need(asprintf(&models[i].id, "model-%u", i) > 0, "no memory");
	(void)backend_set_models(backend, models, N_MODELS);
	atomic_store(&backend->health, BACKEND_HEALTHY);
	atomic_store(&backend->pending, (int64_t)hash_random_below(&bench.random, 8));
	atomic_store(&backend->ema_usec, hash_random_below(&bench.random, 900000));
}

static struct route_table *build(const char *strategy)
{
	struct route_table_inputs inputs = {
		.backends = bench.backends,
		.registry = bench.registry,
	};
	struct buf text, error;
	struct route_table *table;

	buf_init(&text, 1u << 20);
	buf_init(&error, 4096);
	write_backends(&text);
	write_routing(&text, strategy);
	need(config_parse_text("bench", buf_str(&text), &inputs.config, &error) == 0,
	     "the configuration is refused");
	for (size_t i = 0; i < inputs.config->n_backends; i++) {
		struct backend *backend =
			backends_obtain(bench.backends, str_of(inputs.config->backends[i].name));

		need(backend, "no memory");
		fill(backend);
	}
	table = route_table_build(&inputs);
	need(table, "no memory");
	config_unref(inputs.config);
	buf_done(&text);
	buf_done(&error);
	return table;
}

static void decide(const struct route_table *table, const char *text)
{
	struct str name = str_of(text);
	struct route_model *model = route_table_find(table, name);
	const struct candidate *candidate;
	struct attempts attempts;
	uint64_t wait_ns;

	if (!model || attempts_init(&attempts, table, model, &bench.random) < 0) {
		bench.n_refused++;
		return;
	}
	attempts.demand = route_table_demand(table, model, name);
	attempts.session = hash_random_next(&bench.random);
	bench.n_refused += attempts_next(&attempts, &candidate, &wait_ns) != ATTEMPTS_GO;
	attempts_done(&attempts);
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of this thread: what else runs on the machine matters less. */
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static void measure(const char *strategy, size_t n_rounds)
{
	struct route_table *table = build(strategy);
	double ns[MAX_ROUNDS];

	for (size_t round = 0; round < n_rounds; round++) {
		uint64_t begin = cpu_ns();

		for (size_t i = 0; i < N_DECISIONS; i++)
			decide(table, bench.names[i % N_NAMES]);
		ns[round] = (double)(cpu_ns() - begin) / N_DECISIONS;
	}
	qsort(ns, n_rounds, sizeof(*ns), compare);
	printf("%-16s %10.0f\n", strategy, ns[n_rounds / 2]);
	route_table_unref(table);
}

static void set_up(void)
{
	const struct registry_options options = {.max_series = 50000,
						 .max_series_per_family = 2000};

	hash_random_init(&bench.random, (struct hash_seed){1, 2});
	bench.registry = registry_new(&options);
	bench.backends = backends_new();
	need(bench.registry && bench.backends, "no memory");
	for (size_t i = 0; i < N_NAMES; i++) {
		bool is_alias = hash_random_below(&bench.random, 8) == 0;
		unsigned n =
			(unsigned)hash_random_below(&bench.random, is_alias ? N_ALIASES : N_MODELS);

		snprintf(bench.names[i], sizeof(bench.names[i]), "%s-%u",
			 is_alias ? "alias" : "model", n);
	}
}

int main(int argc, char **argv)
{
	size_t n_rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 15;

	if (n_rounds == 0 || n_rounds > MAX_ROUNDS)
		n_rounds = 15;
	set_up();
	printf("%-16s %10s\n", "strategy", "ns, median");
	for (size_t i = 0; strategy_at(i); i++)
		measure(strategy_at(i)->name, n_rounds);
	printf("%d backends, %d models; %llu decisions chose nobody\n", N_BACKENDS, N_MODELS,
	       (unsigned long long)bench.n_refused);
	backends_free(bench.backends);
	registry_free(bench.registry);
	return bench.n_refused > 0;
}
