/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics and /v1/stats. */
#include <errno.h>

#include "api/api_state.h"
#include "api/pieces.h"
#include "api/renderings.h"
#include "api/request.h"
#include "api/stats_json.h"
#include "base/clock.h"
#include "base/version.h"
#include "export/negotiate.h"
#include "export/openmetrics.h"
#include "export/selection.h"
#include "export/statsd.h"

/* Far above what the series budget allows. */
#define RENDERING_MAX_BYTES (256u << 20)

static int next_piece(void *context, struct buf *out)
{
	return openmetrics_next(context, out, PIECE_BYTES);
}

static void free_rendering(void *context)
{
	openmetrics_free(context);
}

void api_metrics(struct request *request)
{
	struct registry *registry = request->api->in.registry;
	struct openmetrics_options options = {
		.format = negotiate_exposition(exchange_header(request->exchange, "Accept")),
	};
	struct pieces_source rest = {.next = next_piece, .free = free_rendering};
	struct openmetrics *rendering;
	bool only[N_METRICS];
	struct buf body;
	int r = -ENOMEM;

	if (!renderings_enter(request))
		return;
	if (selection_parse(registry, request->query, only))
		options.only = only;
	buf_init(&body, RENDERING_MAX_BYTES);
	rest.context = rendering = openmetrics_new(registry, &options);
	if (rendering)
		r = openmetrics_next(rendering, &body,
				     pieces_fit(request->exchange) ? PIECE_BYTES : SIZE_MAX);
	if (r <= 0)
		openmetrics_free(rendering);
	request_uncached_document(request, openmetrics_content_type(options.format), &body,
				  r > 0 ? &rest : NULL, r);
}

void api_stats(struct request *request)
{
	struct statsd_status statsd;
	struct stats_json_inputs inputs = {
		.version = version_text,
		.started_ns = request->api->in.lifecycle->started_ns,
		.now_ns = clock_monotonic_ns(),
		.table = request->table,
		.history = request->api->in.history,
		.shows_history = request_query_has(request, STR_LITERAL("history=1")),
	};
	struct buf body;
	int r;

	if (!renderings_enter(request))
		return;
	statsd_status(request->api->in.statsd, &statsd);
	inputs.statsd = (struct stats_json_statsd){
		.enabled = statsd.is_enabled,
		.address = statsd.is_enabled ? statsd.address : NULL,
		.error = *statsd.error ? statsd.error : NULL,
	};
	buf_init(&body, RENDERING_MAX_BYTES);
	r = stats_json_write(request->api->in.registry, &inputs, &body);
	request_uncached_document(request, "application/json", &body, NULL, r);
}
