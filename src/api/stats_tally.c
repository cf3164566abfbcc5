/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stats_tally.h"

#include <errno.h>
#include <stdlib.h>

struct taking {
	struct stats_tally *tally;
	const struct route_table *table;
	int error;
};

static struct tally *obtain(struct taking *taking, struct map *map, struct str name)
{
	struct tally *tally = map_find(map, name);

	if (tally)
		return tally;
	tally = calloc(1, sizeof(*tally));
	if (tally && map_set(map, name, tally) == 0)
		return tally;
	free(tally);
	taking->error = -ENOMEM;
	return NULL;
}

static int begin_backends(struct taking *taking)
{
	const struct route_table *table = taking->table;

	for (size_t i = 0; i < table->config->n_backends; i++) {
		const struct backend_config *config = &table->config->backends[i];
		struct tally *tally =
			obtain(taking, taking->tally->backends.by_name, str_of(config->name));

		if (!tally)
			return -ENOMEM;
		tally->backend = table->backends[i];
		tally->config = config;
	}
	return 0;
}

static void add(struct tally *tally, const struct sample *sample)
{
	bool is_prompt;

	switch (sample->metric) {
	case METRIC_REQUESTS:
		tally->requests += (uint64_t)sample->value;
		if (totals_is_success(sample))
			tally->success += (uint64_t)sample->value;
		break;
	case METRIC_REQUEST_DURATION:
		distribution_add(&tally->duration, sample);
		break;
	case METRIC_TIME_TO_FIRST_TOKEN:
		distribution_add(&tally->first_token, sample);
		break;
	case METRIC_TOKENS:
		is_prompt = str_eq(sample->values[2], STR_LITERAL("prompt"));
		tally->tokens[is_prompt ? TOKENS_PROMPT : TOKENS_COMPLETION] += sample->sum;
		break;
	case METRIC_COST:
		tally->cost_nano_usd += (uint64_t)sample->value;
		break;
	default:
		break;
	}
}

/* Families that a tally reads; all have a model and a backend first. */
static bool is_tallied(enum metric metric)
{
	return metric == METRIC_REQUESTS || metric == METRIC_REQUEST_DURATION ||
	       metric == METRIC_TIME_TO_FIRST_TOKEN || metric == METRIC_TOKENS ||
	       metric == METRIC_COST;
}

/* "none" and "_other" stand for no backend; one that is configured under such a name is there
 * already. */
static bool is_stand_in(const struct map *backends, struct str name)
{
	return (str_eq(name, STR_LITERAL("none")) || str_eq(name, STR_LITERAL("_other"))) &&
	       !map_find(backends, name);
}

static void take_sample(void *context, const struct sample *sample)
{
	struct taking *taking = context;
	struct map *backends = taking->tally->backends.by_name;
	struct tally *model, *backend;

	totals_add(&taking->tally->totals, sample);
	if (taking->error < 0 || !is_tallied(sample->metric))
		return;
	model = obtain(taking, taking->tally->models.by_name, sample->values[0]);
	if (model)
		add(model, sample);
	if (is_stand_in(backends, sample->values[1]))
		return;
	backend = obtain(taking, backends, sample->values[1]);
	if (backend)
		add(backend, sample);
}

/* One that is gone, or optional and never there, has a row only for what it did. */
static bool backend_is_shown(const struct route_table *table UNUSED, const struct tally *tally)
{
	return tally->requests > 0 ||
	       (tally->backend && backend_counts(tally->backend, tally->config));
}

static bool model_is_shown(const struct route_table *table, const struct tally *tally)
{
	return tally->requests > 0 || route_table_find(table, tally->name);
}

static int by_name(const void *a, const void *b)
{
	const struct tally *const *x = a, *const *y = b;
	struct str s = (*x)->name, t = (*y)->name;
	size_t n = s.n < t.n ? s.n : t.n;
	int order = n ? memcmp(s.p, t.p, n) : 0;

	return order ? order : (s.n > t.n) - (s.n < t.n);
}

static int by_requests(const void *a, const void *b)
{
	const struct tally *const *x = a, *const *y = b;

	if ((*x)->requests != (*y)->requests)
		return (*x)->requests < (*y)->requests ? 1 : -1;
	return by_name(a, b);
}

static int make_rows(struct tally_rows *rows, const struct route_table *table,
		     bool (*is_shown)(const struct route_table *table, const struct tally *tally),
		     int (*compare)(const void *a, const void *b))
{
	size_t cursor = 0;
	struct str name;
	void *value;

	rows->rows = calloc(map_count(rows->by_name) + 1, sizeof(struct tally *));
	if (!rows->rows)
		return -ENOMEM;
	while (map_next(rows->by_name, &cursor, &name, &value)) {
		struct tally *tally = value;

		tally->name = name;
		if (is_shown(table, tally))
			rows->rows[rows->n++] = tally;
	}
	qsort(rows->rows, rows->n, sizeof(struct tally *), compare);
	return 0;
}

int stats_tally_take(struct stats_tally *tally, struct registry *registry,
		     const struct route_table *table)
{
	struct taking taking = {.tally = tally, .table = table};
	const struct snapshot_visitor visitor = {.sample = take_sample, .context = &taking};
	int r;

	*tally = (struct stats_tally){
		.backends.by_name = map_new(),
		.models.by_name = map_new(),
	};
	if (!tally->backends.by_name || !tally->models.by_name || begin_backends(&taking) < 0)
		return -ENOMEM;
	r = snapshot_visit(registry, &visitor);
	if (r == 0)
		r = taking.error;
	if (r == 0)
		r = make_rows(&tally->backends, table, backend_is_shown, by_name);
	if (r == 0)
		r = make_rows(&tally->models, table, model_is_shown, by_requests);
	return r;
}

static void rows_done(struct tally_rows *rows)
{
	size_t cursor = 0;
	struct str name;
	void *tally;

	while (rows->by_name && map_next(rows->by_name, &cursor, &name, &tally))
		free(tally);
	map_free(rows->by_name);
	free(rows->rows);
}

void stats_tally_done(struct stats_tally *tally)
{
	rows_done(&tally->backends);
	rows_done(&tally->models);
}
