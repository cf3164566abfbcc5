/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stats_json.h"

#include <errno.h>
#include <stdlib.h>

#include "api/stats_tally.h"
#include "base/clock.h"
#include "base/jsonx.h"
#include "export/decimal.h"

/* In billionths. */
#define MILLIONTH  1000
#define THOUSANDTH 1000000

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
	struct str type = {NULL, 0}, zone = {NULL, 0};
	struct str status = STR_LITERAL("removed");
	struct str circuit = {NULL, 0};
	uint64_t held_seconds = 0;

	if (tally->backend) {
		type = str_of(backend_type_name(tally->config->type));
		zone = str_of(tally->config->zone);
		status = str_of(backend_status_name(tally->backend));
		circuit = str_of(breaker_state_name(
			breaker_state(&tally->backend->breaker, clock_monotonic_ns())));
		held_seconds = backend_held_seconds(tally->backend);
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
	jsonw_string(w, "zone", zone);
	jsonw_string(w, "status", status);
	jsonw_string(w, "circuit", circuit);
	jsonw_u64(w, "held_seconds", held_seconds);
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

static void write_queue(struct jsonw *w, const struct totals *totals)
{
	jsonw_object(w, "queue");
	jsonw_u64(w, "depth", totals->queued);
	jsonw_u64(w, "rejections", totals->queue_rejections);
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

static void write_rate(struct jsonw *w, const char *name, uint64_t count, uint64_t ns)
{
	double thousandths = 1000.0 * (double)count * (double)NS_PER_SEC / (double)ns;

	write_nano(w, name, (uint64_t)(thousandths + 0.5) * THOUSANDTH);
}

static void write_rates(struct jsonw *w, const struct stats_json_inputs *in,
			const struct totals *totals, const struct history_point *since)
{
	uint64_t ns = in->now_ns > since->monotonic_ns ? in->now_ns - since->monotonic_ns : 0;

	/* In its first moments a process has no rate to speak of. */
	if (ns < NS_PER_SEC)
		ns = NS_PER_SEC;
	jsonw_object(w, "rates");
	write_rate(w, "requests_per_second", totals->requests - since->requests, ns);
	write_rate(w, "tokens_per_second", totals->tokens - since->tokens, ns);
	jsonw_object_end(w);
}

static void write_point(struct jsonw *w, const struct history_point *before,
			const struct history_point *point)
{
	jsonw_object(w, NULL);
	jsonw_u64(w, "time", point->realtime_msec / 1000);
	jsonw_tenths(w, "seconds",
		     (point->monotonic_ns - before->monotonic_ns) / (NS_PER_SEC / 10));
	jsonw_u64(w, "requests", point->requests - before->requests);
	jsonw_u64(w, "errors", point->errors - before->errors);
	jsonw_u64(w, "tokens", point->tokens - before->tokens);
	jsonw_u64(w, "in_flight", point->pending);
	jsonw_u64(w, "streams", point->streams);
	write_percentiles(w, "duration_ms", &point->duration);
	write_percentiles(w, "ttft_ms", &point->first_token);
	jsonw_object_end(w);
}

static int write_history(struct jsonw *w, struct history *history)
{
	struct history_point *points = calloc(HISTORY_MAX_POINTS, sizeof(*points));
	size_t n;

	if (!points)
		return -ENOMEM;
	n = history_read(history, points);
	jsonw_array(w, "history");
	for (size_t i = 1; i < n; i++)
		write_point(w, &points[i - 1], &points[i]);
	jsonw_array_end(w);
	free(points);
	return 0;
}

static int write_document(const struct stats_tally *tally, const struct stats_json_inputs *in,
			  const struct history_point *since, struct buf *out)
{
	int r = 0;
	struct jsonw w;

	jsonw_begin(&w, out);
	jsonw_object(&w, NULL);
	jsonw_u64(&w, "uptime_seconds", (in->now_ns - in->started_ns) / NS_PER_SEC);
	write_requests(&w, &tally->totals);
	write_rows(&w, "backends", &tally->backends, write_backend);
	write_rows(&w, "models", &tally->models, write_model);
	jsonw_string(&w, "version", str_of(in->version));
	write_queue(&w, &tally->totals);
	write_statsd(&w, &in->statsd, &tally->totals);
	write_rates(&w, in, &tally->totals, since);
	if (in->shows_history)
		r = write_history(&w, in->history);
	jsonw_object_end(&w);
	return r < 0 ? r : w.error;
}

int stats_json_write(struct registry *registry, const struct stats_json_inputs *in, struct buf *out)
{
	struct stats_tally tally;
	struct history_point since;
	int r;

	/* First, so that the snapshot sees all that was counted by then. */
	since = history_minute_ago(in->history, in->now_ns);
	r = stats_tally_take(&tally, registry, in->table);
	if (r == 0)
		r = write_document(&tally, in, &since, out);
	stats_tally_done(&tally);
	return r;
}
