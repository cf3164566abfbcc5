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
/* Was it stopped while it waited for a place at a backend? */
bool relay_was_queued(const struct relay *relay);
/* Stops what is under way for it; no more is sent. Safe to call again. */
void relay_stop(struct relay *relay);
/* Replies with an error instead; it was stopped, and nothing was sent yet. */
void relay_refuse(struct relay *relay, enum problem problem);
/* Ends a stream that has begun with an error event and an unclean close. */
void relay_break(struct relay *relay, enum problem problem);
/* More of a body that flows has come, or all of it. */
void relay_supply(struct relay *relay);
/* The client has room again. */
void relay_drained(struct relay *relay);
/* The request is over: stops what still runs and brings request->bundle and its kin, and
 * request->times, to their final values. */
void relay_settle(struct relay *relay);
/* Accepts NULL, returns NULL. */
struct relay *relay_free(struct relay *relay);
