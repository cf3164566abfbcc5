/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place where requests and attempts are counted: each exactly once, when it ends.
 * Internal to api/.
 */
#pragma once

#include "api/api.h"
#include "api/request.h"
#include "api/usage.h"
#include "base/outcome.h"
#include "base/problem.h"
#include "route/attempts.h"
#include "upstream/transfer.h"

#define METHODS(X) X(GET) X(HEAD) X(POST) X(PUT) X(DELETE) X(OPTIONS) X(PATCH)

enum record_method {
#define X(name) RECORD_METHOD_##name,
	METHODS(X)
#undef X
		RECORD_METHOD_OTHER,
	N_RECORD_METHODS
};

/* When a client left, as nexus_client_disconnects_total names it. */
enum disconnect_stage {
	DISCONNECT_RECEIVING,
	DISCONNECT_QUEUED,
	DISCONNECT_WAITING,
	DISCONNECT_STREAMING,
	N_DISCONNECT_STAGES
};

/* Why a request for which there was no place was turned away. */
enum queue_rejection { QUEUE_REJECTION_FULL, QUEUE_REJECTION_TIMEOUT, N_QUEUE_REJECTIONS };

/* The two sides on which bodies come and go. */
enum record_side { SIDE_CLIENT, SIDE_UPSTREAM, N_SIDES };

/* The gateway's own time: reading the body, choosing a backend, the rest, all of it. */
enum overhead_phase {
	OVERHEAD_PARSE,
	OVERHEAD_ROUTE,
	OVERHEAD_RELAY,
	OVERHEAD_TOTAL,
	N_OVERHEAD_PHASES
};

/* Series resolved before the first request. */
struct record_series {
	const struct series *active_requests, *connections, *streams;
	const struct series *crowded[N_CEILINGS];
	const struct series *disconnects[N_DISCONNECT_STAGES];
	const struct series *exclusions[N_EXCLUSIONS];
	const struct series *received[N_SIDES], *sent[N_SIDES];
	const struct series *overhead[N_OVERHEAD_PHASES];
	const struct series *queue_depth, *queue_duration;
	const struct series *queue_rejections[N_QUEUE_REJECTIONS];
	/* by route (the last: none matched) and method; on first use */
	struct {
		const struct series *duration, *status_200;
	} gateway[N_ROUTES + 1][N_RECORD_METHODS];
};

void record_init(struct record_series *series, struct registry *registry);
void record_begin(struct request *request);
/* The reply did not get out whole: decides whose doing it was, and so the outcome. */
void record_undelivered(struct request *request);
/* Its outcome is final. */
void record_end(struct request *request);
/* A connection was refused before there was a request. */
void record_refusal(struct api *api, enum problem problem);
void record_attempt(struct api *api, struct bundle *bundle, enum outcome outcome,
		    const struct transfer_trace *trace);
/* An attempt after the first at a model; backend and outcome are those of the one before. */
void record_retry(struct api *api, const char *backend, enum outcome outcome);
/* Whom the walk has left out since the last call. */
void record_exclusions(struct api *api, struct attempts *attempts);
void record_fallback(struct api *api, const char *from_model, const char *to_model);
/* `price` may be NULL. */
void record_usage(struct api *api, struct bundle *bundle, const struct usage *usage,
		  const struct price_config *price);
/* A stream that was relayed; `content_ns` from its first content to its last. */
void record_stream(struct request *request, const struct usage *usage, uint64_t content_ns);
