/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stats_json.h"

#include "api/stats_tally.h"
#include "base/clock.h"
#include "base/jsonx.h"
#include "export/decimal.h"

#define MILLIONTH 1000 /* in billionths */

static void write_null(struct jsonw *w, const char *name)
{
	jsonw_raw(w, name, STR_LITERAL("null"));
}

/* Billionths, exactly. */
static void write_nano(struct jsonw *w, const char *name, uint64_t nano)
{
	char text[DECIMAL_MAX];

	jsonw_raw(w, name, (struct str){text, (size_t)(decimal_nano(text, nano) - text)});
}

/* In milliseconds, rounded to tenths. */
static void write_msec(struct jsonw *w, const char *name, uint64_t ns)
{
	const uint64_t tenth_ns = NS_PER_MSEC / 10;

	jsonw_tenths(w, name, (ns + tenth_ns / 2) / tenth_ns);
}

static void write_average(struct jsonw *w, const char *name, const struct distribution *times)
{
	write_msec(w, name, times->count ? times->sum / times->count : 0);
}

static void write_percentiles(struct jsonw *w, const char *name, const struct percentiles *times)
{
	jsonw_object(w, name);
	if (times->count == 0) {
		write_null(w, "p50");
		write_null(w, "p95");
		write_null(w, "p99");
	} else {
		write_msec(w, "p50", times->p50);
		write_msec(w, "p95", times->p95);
		write_msec(w, "p99", times->p99);
	}
	jsonw_object_end(w);
}

static void write_distribution(struct jsonw *w, const char *name, const struct distribution *times)
{
	const struct percentiles percentiles = distribution_percentiles(times);

	write_percentiles(w, name, &percentiles);
}

static void write_error_rate(struct jsonw *w, const struct tally *tally)
{
	uint64_t errors = tally->requests - tally->success;
	uint64_t millionths = tally->requests ? 1000000 * errors / tally->requests : 0;

	write_nano(w, "error_rate", millionths * MILLIONTH);
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
	if (pending < 0)
		pending = 0;
	jsonw_object(w, NULL);
	jsonw_string(w, "id", tally->name);
	jsonw_u64(w, "requests", tally->requests);
	write_average(w, "average_latency_ms", &tally->duration);
	jsonw_u64(w, "pending", (uint64_t)pending);
	jsonw_string(w, "name", tally->name);
	jsonw_string(w, "type", type);
	jsonw_string(w, "status", status);
	write_error_rate(w, tally);
	write_distribution(w, "ttft_ms", &tally->first_token);
	jsonw_u64(w, "in_flight", (uint64_t)pending);
	jsonw_object_end(w);
}

static void write_model(struct jsonw *w, const struct tally *tally)
{
	jsonw_object(w, NULL);
	jsonw_string(w, "name", tally->name);
	jsonw_u64(w, "requests", tally->requests);
	write_average(w, "average_duration_ms", &tally->duration);
	write_distribution(w, "duration_ms", &tally->duration);
	write_distribution(w, "ttft_ms", &tally->first_token);
	jsonw_object(w, "tokens");
	jsonw_u64(w, "prompt", tally->tokens[TOKENS_PROMPT]);
	jsonw_u64(w, "completion", tally->tokens[TOKENS_COMPLETION]);
	jsonw_object_end(w);
	write_nano(w, "cost_usd", tally->cost_nano_usd);
	jsonw_object_end(w);
}

static void write_rows(struct jsonw *w, const char *name, const struct tally_rows *rows,
		       void (*write)(struct jsonw *w, const struct tally *tally))
{
	jsonw_array(w, name);
	for (size_t i = 0; i < rows->n; i++)
		write(w, rows->rows[i]);
	jsonw_array_end(w);
}

static void write_requests(struct jsonw *w, const struct totals *totals)
{
	jsonw_object(w, "requests");
	jsonw_u64(w, "total", totals->requests);
	jsonw_u64(w, "success", totals->success);
	jsonw_u64(w, "errors", totals->requests - totals->success);
	jsonw_object_end(w);
}

static void write_statsd(struct jsonw *w, const struct stats_json_statsd *statsd,
			 const struct totals *totals)
{
	jsonw_object(w, "statsd");
	jsonw_bool(w, "enabled", statsd->enabled);
	jsonw_string(w, "address", str_of(statsd->address));
	jsonw_string(w, "error", str_of(statsd->error));
	jsonw_u64(w, "packets_sent", totals->statsd_sent);
	jsonw_u64(w, "packets_dropped", totals->statsd_dropped);
	jsonw_object_end(w);
}

static int write_document(const struct stats_tally *tally, const struct stats_json_inputs *in,
			  struct buf *out)
{
	struct jsonw w;

	jsonw_begin(&w, out);
	jsonw_object(&w, NULL);
	jsonw_u64(&w, "uptime_seconds", in->uptime_seconds);
	write_requests(&w, &tally->totals);
	write_rows(&w, "backends", &tally->backends, write_backend);
	write_rows(&w, "models", &tally->models, write_model);
	jsonw_string(&w, "version", str_of(in->version));
	write_statsd(&w, &in->statsd, &tally->totals);
	jsonw_object_end(&w);
	return w.error;
}

int stats_json_write(struct registry *registry, const struct stats_json_inputs *in, struct buf *out)
{
	struct stats_tally tally;
	int r = stats_tally_take(&tally, registry, in->table);

	if (r == 0)
		r = write_document(&tally, in, out);
	stats_tally_done(&tally);
	return r;
}
