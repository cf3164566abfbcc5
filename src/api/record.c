/* SPDX-License-Identifier: Apache-2.0 */
#include "api/record.h"

#include <stdio.h>

#include "api/api_state.h"
#include "api/relay.h"
#include "api/router.h"
#include "base/clock.h"
#include "base/log.h"
#include "nexusd/messages.h"

static const char *const method_names[] = {
#define X(name) #name,
	METHODS(X)
#undef X
		[RECORD_METHOD_OTHER] = "other",
};

static const char *const stage_names[] = {
	[DISCONNECT_RECEIVING] = "receiving",
	[DISCONNECT_WAITING] = "waiting",
	[DISCONNECT_STREAMING] = "streaming",
};

static const struct series *labelled(struct registry *registry, enum metric metric,
				     const char *value)
{
	return registry_series(registry, metric, &(struct str){value, strlen(value)});
}

void record_init(struct record_series *series, struct registry *registry)
{
	series->active_requests = registry_series(registry, METRIC_GATEWAY_ACTIVE_REQUESTS, NULL);
	series->connections = registry_series(registry, METRIC_CLIENT_CONNECTIONS, NULL);
	series->streams = registry_series(registry, METRIC_ACTIVE_STREAMS, NULL);
	for (size_t i = 0; i < N_DISCONNECT_STAGES; i++)
		series->disconnects[i] =
			labelled(registry, METRIC_CLIENT_DISCONNECTS, stage_names[i]);
	for (size_t i = 0; i < N_EXCLUSIONS; i++)
		series->exclusions[i] = labelled(registry, METRIC_ROUTING_EXCLUSIONS,
						 exclusion_name((enum exclusion)i));
}

static enum record_method method_of(const char *method)
{
	for (size_t i = 0; i < RECORD_METHOD_OTHER; i++)
		if (strcmp(method, method_names[i]) == 0)
			return (enum record_method)i;
	return RECORD_METHOD_OTHER;
}

static const struct series *gateway_series(struct api *api, enum metric metric,
					   enum record_method method, const struct route *route,
					   unsigned status)
{
	char text[12];
	struct str values[] = {
		str_of(method_names[method]),
		str_of(route ? route->path : "unknown"),
		{text, (size_t)snprintf(text, sizeof(text), "%u", status)},
	};

	return registry_series(api->in.registry, metric, values);
}

static void count_gateway(struct api *api, const struct route *route, enum record_method method,
			  unsigned status, uint64_t duration_ns)
{
	size_t row = route ? (size_t)(route - router_route((enum route_id)0)) : N_ROUTES;
	const struct series **duration = &api->series.gateway[row][method].duration;
	const struct series **with_200 = &api->series.gateway[row][method].status_200;
	const struct series *requests = status == 200 ? *with_200 : NULL;

	if (!requests)
		requests = gateway_series(api, METRIC_GATEWAY_REQUESTS, method, route, status);
	if (status == 200)
		*with_200 = requests;
	if (!*duration)
		*duration = gateway_series(api, METRIC_GATEWAY_REQUEST_DURATION, method, route, 0);
	slab_add(api->in.slab, requests, 1);
	slab_observe(api->in.slab, *duration, duration_ns);
}

static void count_model(struct request *request, uint64_t duration_ns)
{
	struct api *api = request->api;
	struct slab *slab = api->in.slab;
	struct bundle *bundle = request->bundle ? request->bundle : request->table->unknown;

	slab_add(slab, bundle_requests(bundle, request->status), 1);
	slab_observe(slab, bundle_duration(bundle), duration_ns);
	if (request->status >= 200 && request->status < 300)
		return;
	slab_add(slab,
		 registry_series(api->in.registry, METRIC_ERRORS,
				 (struct str[]){
					 str_of(error_type_name(request->error_type)),
					 str_of(request->model ? request->model : "_unknown"),
				 }),
		 1);
}

/* The reply did not get out whole. Whose doing was it? */
static void judge_undelivered(struct request *request)
{
	const struct exchange *exchange = request->exchange;
	enum disconnect_stage stage = DISCONNECT_WAITING;

	if (exchange->refusal != N_PROBLEMS) { /* ours, out of turn */
		request->status = problem_row(exchange->refusal)->status;
		request->error_type = problem_row(exchange->refusal)->error_type;
		return;
	}
	if (exchange->streaming && exchange->finished && !exchange->whole)
		return; /* the backend's: relay.c has said so */
	request->status = 499;
	request->error_type = ERROR_TYPE_CLIENT_DISCONNECT;
	if (!exchange->request_complete)
		stage = DISCONNECT_RECEIVING;
	else if (exchange->queued)
		stage = DISCONNECT_STREAMING;
	slab_add(request->api->in.slab, request->api->series.disconnects[stage], 1);
}

static void log_failure(const struct request *request, uint64_t duration_ns)
{
	/* A 503 of /readyz is an answer, not a failure. */
	bool is_model = request->route && (request->route->flags & ROUTE_MODEL);
	enum log_level level =
		is_model && request->status >= 500 ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG;
	char status[12], usec[24];
	const struct log_field fields[] = {
		{NEXUSD_FIELD_REQUEST_ID, request->id},   {NEXUSD_FIELD_MODEL, request->model},
		{NEXUSD_FIELD_BACKEND, request->backend}, {NEXUSD_FIELD_STATUS, status},
		{NEXUSD_FIELD_DURATION_USEC, usec},
	};

	if (request->status < 400 || !log_is_enabled(level))
		return;
	snprintf(status, sizeof(status), "%u", request->status);
	snprintf(usec, sizeof(usec), "%llu", (unsigned long long)(duration_ns / NS_PER_USEC));
	log_write(level, fields, ARRAY_SIZE(fields), "request failed: %s",
		  request->error_type == ERROR_TYPE_NONE ? "other"
							 : error_type_name(request->error_type));
}

void record_begin(struct request *request)
{
	slab_gauge_add(request->api->in.slab, request->api->series.active_requests, 1);
}

void record_end(struct request *request, bool delivered)
{
	struct api *api = request->api;
	uint64_t duration_ns = clock_monotonic_ns() - request->exchange->arrival_ns;

	if (!delivered)
		judge_undelivered(request);
	if (request->relay)
		relay_settle(request->relay);
	slab_gauge_add(api->in.slab, api->series.active_requests, -1);
	count_gateway(api, request->route, method_of(request->exchange->method), request->status,
		      duration_ns);
	if (request->route && (request->route->flags & ROUTE_MODEL))
		count_model(request, duration_ns);
	log_failure(request, duration_ns);
}

void record_refusal(struct api *api, enum problem problem)
{
	count_gateway(api, NULL, RECORD_METHOD_OTHER, problem_row(problem)->status, 0);
}

void record_attempt(struct api *api, struct bundle *bundle, enum outcome outcome)
{
	slab_add(api->in.slab, bundle_upstream_requests(bundle, outcome), 1);
}

void record_retry(struct api *api, const char *backend, enum outcome outcome)
{
	slab_add(api->in.slab,
		 registry_series(api->in.registry, METRIC_RETRIES,
				 (struct str[]){str_of(backend), str_of(outcome_name(outcome))}),
		 1);
}

void record_fallback(struct api *api, const char *from_model, const char *to_model)
{
	slab_add(api->in.slab,
		 registry_series(api->in.registry, METRIC_FALLBACKS,
				 (struct str[]){str_of(from_model), str_of(to_model)}),
		 1);
}

void record_usage(struct api *api, struct bundle *bundle, const struct usage *usage)
{
	struct slab *slab = api->in.slab;

	if (!usage->seen) {
		slab_add(slab, bundle_usage_missing(bundle), 1);
		return;
	}
	slab_observe(slab, bundle_tokens(bundle, TOKENS_PROMPT), usage->prompt_tokens);
	slab_observe(slab, bundle_tokens(bundle, TOKENS_COMPLETION), usage->completion_tokens);
}
