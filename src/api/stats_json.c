/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stats_json.h"

#include <errno.h>
#include <stdlib.h>

#include "base/jsonx.h"
#include "base/map.h"
#include "metrics/bundle.h"
#include "metrics/snapshot.h"

/* What a model or a backend has done. Its name is the key of the map it stands in. */
struct tally {
	struct str name;
	uint64_t requests;
	uint64_t answered, duration_ns; /* what the average is made of */
	uint64_t tokens[N_TOKEN_TYPES];
	const struct backend *backend; /* NULL for models and for backends that were removed */
	const struct backend_config *config;
};

struct stats {
	const struct route_table *table;
	struct map *models, *backends; /* of struct tally, owned */
	uint64_t total, success;
	int error;
};

static struct tally *tally_obtain(struct stats *stats, struct map *map, struct str name)
{
	struct tally *tally = map_find(map, name);

	if (tally)
		return tally;
	tally = calloc(1, sizeof(*tally));
	if (tally && map_set(map, name, tally) == 0)
		return tally;
	free(tally);
	stats->error = -ENOMEM;
	return NULL;
}

static struct map *tallies_free(struct map *map)
{
	size_t cursor = 0;
	struct str name;
	void *tally;

	while (map && map_next(map, &cursor, &name, &tally))
		free(tally);
	return map_free(map);
}

/* "none" and "_other" stand for no backend; one that is configured under such a name is there
 * already. */
static bool is_stand_in(const struct stats *stats, struct str backend)
{
	return (str_eq(backend, STR_LITERAL("none")) || str_eq(backend, STR_LITERAL("_other"))) &&
	       !map_find(stats->backends, backend);
}

static void add(struct tally *tally, const struct sample *sample)
{
	bool is_prompt;

	switch (sample->metric) {
	case METRIC_REQUESTS:
		tally->requests += (uint64_t)sample->value;
		break;
	case METRIC_REQUEST_DURATION:
		tally->answered += sample->count;
		tally->duration_ns += sample->sum;
		break;
	case METRIC_TOKENS:
		is_prompt = str_eq(sample->values[2], STR_LITERAL("prompt"));
		tally->tokens[is_prompt ? TOKENS_PROMPT : TOKENS_COMPLETION] += sample->sum;
		break;
	default:
		break;
	}
}

static void count_status(struct stats *stats, struct str status, uint64_t requests)
{
	stats->total += requests;
	if (status.n == 3 && status.p[0] == '2')
		stats->success += requests;
}

static void take_sample(void *context, const struct sample *sample)
{
	struct stats *stats = context;
	const struct str *values = sample->values;
	struct tally *model, *backend;

	if (stats->error < 0 ||
	    (sample->metric != METRIC_REQUESTS && sample->metric != METRIC_REQUEST_DURATION &&
	     sample->metric != METRIC_TOKENS))
		return;
	if (sample->metric == METRIC_REQUESTS)
		count_status(stats, values[2], (uint64_t)sample->value);
	model = tally_obtain(stats, stats->models, values[0]);
	if (model)
		add(model, sample);
	if (is_stand_in(stats, values[1]))
		return;
	backend = tally_obtain(stats, stats->backends, values[1]);
	if (backend)
		add(backend, sample);
}

static int begin_backends(struct stats *stats)
{
	const struct route_table *table = stats->table;

	for (size_t i = 0; i < table->config->n_backends; i++) {
		struct tally *tally = tally_obtain(stats, stats->backends,
						   str_of(table->config->backends[i].name));

		if (!tally)
			return -ENOMEM;
		tally->backend = table->backends[i];
		tally->config = &table->config->backends[i];
	}
	return 0;
}

/* One that is gone, or optional and never there, has a row only for what it did. */
static bool backend_is_listed(const struct stats *stats UNUSED, const struct tally *tally)
{
	return tally->requests > 0 ||
	       (tally->backend && backend_counts(tally->backend, tally->config));
}

static bool model_is_listed(const struct stats *stats, const struct tally *tally)
{
	return tally->requests > 0 || route_table_find(stats->table, tally->name);
}

static int compare_names(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.p, b.p, n) : 0;

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_name(const void *a, const void *b)
{
	const struct tally *const *x = a, *const *y = b;

	return compare_names((*x)->name, (*y)->name);
}

static int by_requests(const void *a, const void *b)
{
	const struct tally *const *x = a, *const *y = b;

	if ((*x)->requests != (*y)->requests)
		return (*x)->requests < (*y)->requests ? 1 : -1;
	return by_name(a, b);
}

/* Rounded to tenths of a millisecond; 0.0 when there is nothing. */
static uint64_t average_tenths_msec(const struct tally *tally)
{
	uint64_t ns;

	if (tally->answered == 0)
		return 0;
	ns = tally->duration_ns / tally->answered;
	return (ns + 50000) / 100000;
}

static void write_backend(struct jsonw *w, const struct tally *tally)
{
	int64_t pending = tally->backend ? atomic_load_explicit(&tally->backend->pending,
								memory_order_relaxed)
					 : 0;
	struct str type = {NULL, 0};
	struct str status = STR_LITERAL("removed");

	if (tally->backend) {
		type = str_of(backend_type_name(tally->config->type));
		status = str_of(backend_health_name(tally->backend));
	}
	jsonw_object(w, NULL);
	jsonw_string(w, "id", tally->name);
	jsonw_u64(w, "requests", tally->requests);
	jsonw_tenths(w, "average_latency_ms", average_tenths_msec(tally));
	jsonw_u64(w, "pending", pending > 0 ? (uint64_t)pending : 0);
	jsonw_string(w, "name", tally->name);
	jsonw_string(w, "type", type);
	jsonw_string(w, "status", status);
	jsonw_object_end(w);
}

static void write_model(struct jsonw *w, const struct tally *tally)
{
	jsonw_object(w, NULL);
	jsonw_string(w, "name", tally->name);
	jsonw_u64(w, "requests", tally->requests);
	jsonw_tenths(w, "average_duration_ms", average_tenths_msec(tally));
	jsonw_object(w, "tokens");
	jsonw_u64(w, "prompt", tally->tokens[TOKENS_PROMPT]);
	jsonw_u64(w, "completion", tally->tokens[TOKENS_COMPLETION]);
	jsonw_object_end(w);
	jsonw_object_end(w);
}

/* How one of the two arrays is made of its tallies. */
struct array_format {
	const char *name;
	bool (*is_listed)(const struct stats *stats, const struct tally *tally);
	int (*compare)(const void *a, const void *b);
	void (*write)(struct jsonw *w, const struct tally *tally);
};

static int write_array(struct jsonw *w, const struct stats *stats, const struct map *map,
		       const struct array_format *format)
{
	struct tally **rows = calloc(map_count(map) + 1, sizeof(struct tally *));
	size_t n = 0, cursor = 0;
	struct str name;
	void *value;

	if (!rows)
		return -ENOMEM;
	while (map_next(map, &cursor, &name, &value)) {
		struct tally *tally = value;

		tally->name = name;
		if (format->is_listed(stats, tally))
			rows[n++] = tally;
	}
	qsort(rows, n, sizeof(struct tally *), format->compare);
	jsonw_array(w, format->name);
	for (size_t i = 0; i < n; i++)
		format->write(w, rows[i]);
	jsonw_array_end(w);
	free(rows);
	return 0;
}

static int write_document(const struct stats *stats, const struct stats_json_inputs *in,
			  struct buf *out)
{
	static const struct array_format backends = {"backends", backend_is_listed, by_name,
						     write_backend};
	static const struct array_format models = {"models", model_is_listed, by_requests,
						   write_model};
	struct jsonw w;
	int r;

	jsonw_begin(&w, out);
	jsonw_object(&w, NULL);
	jsonw_u64(&w, "uptime_seconds", in->uptime_seconds);
	jsonw_object(&w, "requests");
	jsonw_u64(&w, "total", stats->total);
	jsonw_u64(&w, "success", stats->success);
	jsonw_u64(&w, "errors", stats->total - stats->success);
	jsonw_object_end(&w);
	r = write_array(&w, stats, stats->backends, &backends);
	if (r == 0)
		r = write_array(&w, stats, stats->models, &models);
	jsonw_string(&w, "version", str_of(in->version));
	jsonw_object_end(&w);
	return r < 0 ? r : w.error;
}

int stats_json_write(struct registry *registry, const struct stats_json_inputs *in, struct buf *out)
{
	struct stats stats = {.table = in->table, .models = map_new(), .backends = map_new()};
	const struct snapshot_visitor visitor = {.sample = take_sample, .context = &stats};
	int r = -ENOMEM;

	if (!stats.models || !stats.backends || begin_backends(&stats) < 0)
		goto out;
	r = snapshot_visit(registry, &visitor);
	if (r == 0)
		r = stats.error;
	if (r == 0)
		r = write_document(&stats, in, out);
out:
	tallies_free(stats.models);
	tallies_free(stats.backends);
	return r;
}
