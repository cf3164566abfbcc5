/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay of one request: attempts at backends until one answers, and its answer to the client.
 * The one place that joins route/, backend/, upstream/ and http/. Owned by its request.
 */
#pragma once

#include "api/request.h"

struct relay;

/* Routes the request and starts the first attempt, or replies with the reason why not. */
void relay_start(struct request *request);
/* Stops what is under way for it; no more is sent. Safe to call again. */
void relay_stop(struct relay *relay);
/* Ends a stream that has begun with an error event and an unclean close. */
void relay_break(struct relay *relay, enum problem problem);
/* The client has room again. */
void relay_drained(struct relay *relay);
/* The request is over: stops what still runs and brings request->bundle and its kin to their
 * final values. */
void relay_settle(struct relay *relay);
/* So long it has waited for backends, pauses between attempts included. */
uint64_t relay_upstream_ns(const struct relay *relay);
/* Accepts NULL, returns NULL. */
struct relay *relay_free(struct relay *relay);

/* Adds the X-Nexus-* headers and Server-Timing to the reply. */
void relay_describe(const struct relay *relay);
uint64_t relay_retry_after_seconds(const struct relay *relay);
