/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt at one backend: how it is begun, ended and counted. Worker-local. Internal to relay.c
 * and what it is made of.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/outcome.h"

struct relay;
struct transfer_events;

/* Starts on relay->candidate; the events come with the relay. False: there was no memory for it,
 * and the attempt has ended. */
bool attempt_start(struct relay *relay, const struct transfer_events *events) MUST_CHECK;
/* Ends the transfer under way, if any; attempt_ended() must follow. */
void attempt_cancel(struct relay *relay);
/* Its answer has begun. */
void attempt_answered(struct relay *relay);
/* It is no success, whatever is still to come of its answer. */
void attempt_failed(struct relay *relay, enum outcome outcome);
/* Counts the attempt; its transfer is over. */
void attempt_ended(struct relay *relay, enum outcome outcome);
/* Ends and counts it since the time of the whole request is over. */
void attempt_cut_short(struct relay *relay);
/* Like attempt_ended(), but it keeps its place: another one follows at the same backend at once. */
void attempt_ended_for_another(struct relay *relay, enum outcome outcome);
/* Frees the request's body once nobody needs it any more: it was sent, and its answer goes to the
 * client. */
void attempt_free_body(struct relay *relay);
/* Reads no more of the answer while the client has enough of it; relay_drained() goes on. */
void attempt_pause_if_full(struct relay *relay);
