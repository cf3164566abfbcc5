/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a relayed request's reply says ahead of its body: the headers of the backend's answer that
 * pass, and X-Nexus-* and Server-Timing about the way it took. Internal to relay.c and what it is
 * made of.
 */
#pragma once

#include "api/relay_state.h"

/* Keeps what may be passed on of a head. -ENOMEM; -EMSGSIZE: there is no room for what says how the
 * body is to be read. */
int reply_head_keep(struct relay *relay, const struct transfer_head *head) MUST_CHECK;
/* The value of a kept header; {NULL, 0} when there is none. */
struct str reply_head_find(const struct relay *relay, struct str name);
/* Its body is not what its type says, but made of that. */
bool reply_head_is_encoded(const struct relay *relay);
/* The backend's answer becomes the request's: its labels, outcome and error type. */
void reply_head_commit(struct relay *relay);
/* Adds to a reply what was kept, what every reply carries, and the description. */
void reply_head_add(const struct relay *relay);
/* Adds to a reply what the answer cost, if its usage and a price are known. */
void reply_head_add_cost(const struct relay *relay);
/* Adds to a reply how the request was routed and how long that took. */
void reply_head_describe(const struct relay *relay);
