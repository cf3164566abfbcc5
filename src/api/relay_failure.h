/* SPDX-License-Identifier: Apache-2.0 */
/* What a request without anybody's answer is counted as, and which problem its client is told.
 * Internal to relay.c and what it is made of. */
#pragma once

#include "api/relay_state.h"

/* Counts it for the model asked for and the backend that was tried last. */
void relay_failure_label(struct relay *relay);
/* Replies with a problem and tells how the request was routed. */
void relay_failure_reply(struct relay *relay, enum problem problem, const struct buf *context);
/* The same of one that was routed in vain: counts it, and tells what was tried. */
void relay_failure_tell(struct relay *relay, enum problem problem);
/* The problem by the outcome of the last attempt. */
enum problem relay_failure_problem(const struct relay *relay);
/* The problem when attempts_next() had nothing to give. */
enum problem relay_failure_verdict(const struct relay *relay, enum attempts_verdict verdict);
/* Replies that there is no such model, and names some. */
void relay_failure_unknown_model(struct request *request);
