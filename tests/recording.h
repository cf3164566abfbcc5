/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that one streamed chat completion leaves in the registry, by the functions that record it in
 * the daemon, without the daemon around them: for the test that it takes no lock and no memory, and
 * for the bench. Out of memory ends the program.
 */
#pragma once

#include <stdlib.h>

#include "api/api_state.h"
#include "api/record.h"
#include "api/router.h"
#include "base/clock.h"

/* One thread's. */
struct recording {
	struct api api;
	struct bundle *bundle;
	struct config config;     /* logs no requests */
	struct route_table table; /* has nothing but that and the bundle of requests not routed */
};

static void recording_init(struct recording *recording, struct registry *registry,
			   const char *model, const char *backend)
{
	*recording = (struct recording){0};
	recording->bundle = bundle_find(registry, str_of(model), str_of(backend));
	recording->api.in.registry = registry;
	recording->api.in.slab = registry_slab_new(registry);
	if (!recording->bundle || !recording->api.in.slab)
		abort();
	recording->table.unknown = recording->bundle;
	recording->table.config = &recording->config;
	record_init(&recording->api.series, registry);
}

/* One attempt and one request, with the clock read as often as the daemon reads it for a plain
 * answer that comes at once: when the request is there, understood, routed, answered and over. */
static void recording_run(struct recording *recording, unsigned status)
{
	static const struct usage usage = {
		.seen = true,
		.prompt_tokens = 812,
		.completion_tokens = 64,
		.cached_prompt_tokens = 512,
	};
	static const struct price_config price = {.prompt = 2500000000, .completion = 10000000000};
	struct api *api = &recording->api;
	struct exchange exchange = {
		.method = "POST",
		.refusal = PROBLEM_NONE,
		.arrival_ns = clock_monotonic_ns(),
		.sent_bytes = 16000,
	};
	struct request request = {
		.api = api,
		.exchange = &exchange,
		.route = router_route(ROUTE_ID_CHAT_COMPLETIONS),
		.table = &recording->table,
		.status = status,
		.error_type = status < 300 ? ERROR_TYPE_NONE : ERROR_TYPE_BACKEND_ERROR,
		.bundle = recording->bundle,
		.model = "llama3.1:70b",
	};
	struct transfer_trace trace = {
		.connected = true,
		.reused = true,
		.sent_bytes = 3000,
		.received_bytes = 16000,
	};

	record_begin(&request);
	request.times.complete_ns = exchange.arrival_ns;
	request.times.parsed_ns = clock_monotonic_ns();
	request.times.routed_ns = clock_monotonic_ns();
	exchange.marked_ns = clock_monotonic_ns();
	trace.timings.first_byte = exchange.marked_ns - exchange.arrival_ns;
	trace.timings.total = trace.timings.first_byte + NS_PER_MSEC;
	record_attempt(api, recording->bundle, OUTCOME_OK, &trace);
	record_usage(api, recording->bundle, &usage, &price);
	record_stream(&request, &usage, NS_PER_SEC);
	record_end(&request);
}
