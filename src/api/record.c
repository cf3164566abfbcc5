/* SPDX-License-Identifier: Apache-2.0 */
#include "api/record.h"

#include <stdio.h>

#include "api/api_state.h"
#include "api/relay.h"
#include "api/router.h"
#include "base/clock.h"

static const char *const method_names[] = {
#define X(name) #name,
	METHODS(X)
#undef X
		[RECORD_METHOD_OTHER] = "other",
};

static const char *const stage_names[] = {
	[DISCONNECT_RECEIVING] = "receiving",
	[DISCONNECT_QUEUED] = "queued",
	[DISCONNECT_WAITING] = "waiting",
	[DISCONNECT_STREAMING] = "streaming",
};

/* As the options are called. */
static const char *const ceiling_names[] = {
	[CEILING_CONNECTIONS] = "max_connections",
	[CEILING_PER_ADDRESS] = "max_connections_per_address",
};

static const char *const queue_rejection_names[] = {
	[QUEUE_REJECTION_FULL] = "full",
	[QUEUE_REJECTION_TIMEOUT] = "timeout",
};

static const char *const side_names[] = {
	[SIDE_CLIENT] = "client",
	[SIDE_UPSTREAM] = "upstream",
};

static const char *const phase_names[] = {
	[OVERHEAD_PARSE] = "parse",
	[OVERHEAD_ROUTE] = "route",
	[OVERHEAD_RELAY] = "relay",
	[OVERHEAD_TOTAL] = "total",
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
	for (size_t i = 0; i < N_CEILINGS; i++)
		series->crowded[i] =
			labelled(registry, METRIC_CLIENT_CONNECTIONS_LIMITED, ceiling_names[i]);
	series->queue_depth = registry_series(registry, METRIC_QUEUE_DEPTH, NULL);
	series->queue_duration = registry_series(registry, METRIC_QUEUE_DURATION, NULL);
	for (size_t i = 0; i < N_QUEUE_REJECTIONS; i++)
		series->queue_rejections[i] =
			labelled(registry, METRIC_QUEUE_REJECTIONS, queue_rejection_names[i]);
	for (size_t i = 0; i < N_DISCONNECT_STAGES; i++)
		series->disconnects[i] =
			labelled(registry, METRIC_CLIENT_DISCONNECTS, stage_names[i]);
	for (size_t i = 0; i < N_EXCLUSIONS; i++)
		series->exclusions[i] = labelled(registry, METRIC_ROUTING_EXCLUSIONS,
						 exclusion_name((enum exclusion)i));
	for (size_t i = 0; i < N_SIDES; i++) {
		series->received[i] = labelled(registry, METRIC_RECEIVED_BYTES, side_names[i]);
		series->sent[i] = labelled(registry, METRIC_SENT_BYTES, side_names[i]);
	}
	for (size_t i = 0; i < N_OVERHEAD_PHASES; i++)
		series->overhead[i] = labelled(registry, METRIC_GATEWAY_OVERHEAD, phase_names[i]);
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

/* With the request's trace, where the series wants one and the client has told it. */
static void observe_traced(struct request *request, const struct series *series, uint64_t ns)
{
	struct slab *slab = request->api->in.slab;
	struct exemplar exemplar = {.value = ns};

	slab_observe(slab, series, ns);
	if (!series->has_exemplars)
		return;
	exemplar.trace = request_trace(request);
	if ((exemplar.trace.high | exemplar.trace.low) == 0)
		return;
	exemplar.unix_msec = clock_realtime_msec();
	slab_set_exemplar(slab, series, &exemplar);
}

static void count_model(struct request *request, uint64_t duration_ns)
{
	struct api *api = request->api;
	struct slab *slab = api->in.slab;
	struct bundle *bundle = request->bundle ? request->bundle : request->table->unknown;

	slab_add(slab, bundle_requests(bundle, request->status), 1);
	observe_traced(request, bundle_series(bundle, BUNDLE_DURATION), duration_ns);
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

static void observe_overhead(struct api *api, enum overhead_phase phase, uint64_t ns)
{
	slab_observe(api->in.slab, api->series.overhead[phase], ns);
}

/* What a request cost beside the arrival of its body and all waiting for backends. */
static void count_overhead(struct request *request, uint64_t end_ns)
{
	const struct request_times *times = &request->times;
	uint64_t upstream_ns = times->upstream_ns + times->waited_ns;
	uint64_t total_ns = end_ns - times->complete_ns, before_ns;

	if (!times->complete_ns)
		return;
	total_ns = total_ns > upstream_ns ? total_ns - upstream_ns : 0;
	observe_overhead(request->api, OVERHEAD_TOTAL, total_ns);
	observe_overhead(request->api, OVERHEAD_PARSE, times->parsed_ns - times->complete_ns);
	if (!times->routed_ns)
		return;
	before_ns = times->routed_ns - times->complete_ns;
	observe_overhead(request->api, OVERHEAD_ROUTE, times->routed_ns - times->parsed_ns);
	observe_overhead(request->api, OVERHEAD_RELAY,
			 total_ns > before_ns ? total_ns - before_ns : 0);
}

void record_undelivered(struct request *request)
{
	const struct exchange *exchange = request->exchange;
	enum disconnect_stage stage = DISCONNECT_WAITING;

	if (exchange->refusal != PROBLEM_NONE) { /* ours, out of turn */
		request->status = problem_row(exchange->refusal)->status;
		request->error_type = problem_row(exchange->refusal)->error_type;
		return;
	}
	if (exchange->outbox_state == OUTBOX_CUT || exchange->outbox_state == OUTBOX_CUT_TOLD)
		return; /* the backend's: relay.c has said so */
	request->status = 499;
	request->error_type = ERROR_TYPE_CLIENT_DISCONNECT;
	if (!exchange->request_complete)
		stage = DISCONNECT_RECEIVING;
	else if (exchange->reply_state == REPLY_HANDED_OVER)
		stage = DISCONNECT_STREAMING;
	else if (request->relay && relay_was_queued(request->relay))
		stage = DISCONNECT_QUEUED;
	slab_add(request->api->in.slab, request->api->series.disconnects[stage], 1);
}

void record_begin(struct request *request)
{
	slab_gauge_add(request->api->in.slab, request->api->series.active_requests, 1);
}

void record_end(struct request *request)
{
	struct api *api = request->api;
	struct exchange *exchange = request->exchange;
	uint64_t end_ns = clock_monotonic_ns(), duration_ns = end_ns - exchange->arrival_ns;
	enum record_method method = method_of(exchange->method);

	slab_gauge_add(api->in.slab, api->series.active_requests, -1);
	slab_add(api->in.slab, api->series.received[SIDE_CLIENT], exchange->received_bytes);
	slab_add(api->in.slab, api->series.sent[SIDE_CLIENT], exchange->sent_bytes);
	count_gateway(api, request->route, method, request->status, duration_ns);
	/* Whoever asks what may be done asks for no model. */
	if (request->route && (request->route->flags & ROUTE_MODEL) &&
	    method != RECORD_METHOD_OPTIONS) {
		count_model(request, duration_ns);
		count_overhead(request, end_ns);
		request_log_end(&api->log, request, end_ns);
	}
}

void record_refusal(struct api *api, enum problem problem)
{
	count_gateway(api, NULL, RECORD_METHOD_OTHER, problem_row(problem)->status, 0);
}

/* Phases that did not happen, such as a name lookup on a connection that was kept, are none. */
static void observe_phase(struct slab *slab, struct bundle *bundle, enum bundle_slot slot,
			  uint64_t began_ns, uint64_t ended_ns)
{
	if (ended_ns > began_ns)
		slab_observe(slab, bundle_series(bundle, slot), ended_ns - began_ns);
}

static void count_phases(struct slab *slab, struct bundle *bundle,
			 const struct transfer_timings *timings)
{
	uint64_t ready_ns = timings->tls > timings->connect ? timings->tls : timings->connect;

	observe_phase(slab, bundle, BUNDLE_PHASE_DNS, 0, timings->name_lookup);
	observe_phase(slab, bundle, BUNDLE_PHASE_CONNECT, timings->name_lookup, timings->connect);
	observe_phase(slab, bundle, BUNDLE_PHASE_TLS, timings->connect, timings->tls);
	observe_phase(slab, bundle, BUNDLE_PHASE_FIRST_BYTE, ready_ns, timings->first_byte);
	if (timings->first_byte)
		observe_phase(slab, bundle, BUNDLE_PHASE_TRANSFER, timings->first_byte,
			      timings->total);
}

void record_attempt(struct api *api, struct bundle *bundle, enum outcome outcome,
		    const struct transfer_trace *trace)
{
	struct slab *slab = api->in.slab;

	slab_add(slab, bundle_upstream_requests(bundle, outcome), 1);
	slab_add(slab, api->series.sent[SIDE_UPSTREAM], trace->sent_bytes);
	slab_add(slab, api->series.received[SIDE_UPSTREAM], trace->received_bytes);
	count_phases(slab, bundle, &trace->timings);
	if (trace->connected)
		slab_add(slab,
			 bundle_series(bundle, trace->reused ? BUNDLE_CONNECTION_REUSED
							     : BUNDLE_CONNECTION_NEW),
			 1);
}

void record_retry(struct api *api, const char *backend, enum outcome outcome)
{
	slab_add(api->in.slab,
		 registry_series(api->in.registry, METRIC_RETRIES,
				 (struct str[]){str_of(backend), str_of(outcome_name(outcome))}),
		 1);
}

void record_exclusions(struct api *api, struct attempts *attempts)
{
	for (size_t i = 0; i < N_EXCLUSIONS; i++) {
		if (attempts->excluded[i])
			slab_add(api->in.slab, api->series.exclusions[i], attempts->excluded[i]);
		attempts->excluded[i] = 0;
	}
}

void record_fallback(struct api *api, const char *from_model, const char *to_model)
{
	slab_add(api->in.slab,
		 registry_series(api->in.registry, METRIC_FALLBACKS,
				 (struct str[]){str_of(from_model), str_of(to_model)}),
		 1);
}

void record_usage(struct api *api, struct bundle *bundle, const struct usage *usage,
		  const struct price_config *price)
{
	struct slab *slab = api->in.slab;

	if (!usage->seen) {
		slab_add(slab, bundle_series(bundle, BUNDLE_USAGE_MISSING), 1);
		return;
	}
	slab_observe(slab, bundle_series(bundle, BUNDLE_TOKENS_PROMPT), usage->prompt_tokens);
	slab_observe(slab, bundle_series(bundle, BUNDLE_TOKENS_COMPLETION),
		     usage->completion_tokens);
	slab_add(slab, bundle_series(bundle, BUNDLE_PROMPT), usage->prompt_tokens);
	slab_add(slab, bundle_series(bundle, BUNDLE_COMPLETION), usage->completion_tokens);
	if (usage->cached_prompt_tokens)
		slab_add(slab, bundle_series(bundle, BUNDLE_CACHED_PROMPT),
			 usage->cached_prompt_tokens);
	if (usage->reasoning_tokens)
		slab_add(slab, bundle_series(bundle, BUNDLE_REASONING), usage->reasoning_tokens);
	if (price)
		slab_add(slab, bundle_series(bundle, BUNDLE_COST), usage_nano_usd(usage, price));
}

void record_stream(struct request *request, const struct usage *usage, uint64_t content_ns)
{
	const struct exchange *exchange = request->exchange;
	struct slab *slab = request->api->in.slab;

	if (exchange->marked_ns)
		observe_traced(request, bundle_series(request->bundle, BUNDLE_FIRST_TOKEN),
			       exchange->marked_ns - exchange->arrival_ns);
	if (content_ns && usage->completion_tokens > 1)
		slab_observe(slab, bundle_series(request->bundle, BUNDLE_PER_TOKEN),
			     content_ns / (usage->completion_tokens - 1));
}
