/* SPDX-License-Identifier: Apache-2.0 */
/* The wait of a request for a place at a backend. Internal to relay.c and what it is made of. */
#pragma once

#include "api/relay_state.h"

/* Lets it wait: `woken` is called, with the relay, once there is a place, or nothing to wait for,
 * and relay->patience fires when it has waited for too long. Otherwise tells why not:
 * PROBLEM_QUEUE_FULL, counted, or PROBLEM_OVERLOADED. N_PROBLEMS: it waits. */
enum problem relay_queue_enter(struct relay *relay, void (*woken)(void *relay)) MUST_CHECK;
/* `woken` was called: what was granted to it, see queue_leave(). */
struct grant relay_queue_take(struct relay *relay);
/* It has waited for too long: counts that, too. */
void relay_queue_give_up(struct relay *relay);
/* Whatever becomes of it, it waits no more; tells whether it did. */
bool relay_queue_leave(struct relay *relay);
