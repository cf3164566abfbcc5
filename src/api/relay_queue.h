/* SPDX-License-Identifier: Apache-2.0 */
/* The wait of a request for a place at a backend. Internal to relay.c and what it is made of. */
#pragma once

#include "api/relay_state.h"

/* Lets it wait: `woken` is called, with the relay, once there is a place, and relay->patience fires
 * when relay_queue_waits_on() is to be asked. Otherwise tells why not: PROBLEM_QUEUE_FULL, counted,
 * or PROBLEM_OVERLOADED. N_PROBLEMS: it waits. */
enum problem relay_queue_enter(struct relay *relay, void (*woken)(void *relay)) MUST_CHECK;
/* `woken` was called: the backend at which there is a place for it. */
struct backend *relay_queue_take(struct relay *relay);
/* Has it not waited for too long? Then a backend may be left alone no more, and is looked at. */
bool relay_queue_waits_on(struct relay *relay);
/* It has waited for too long: counts that, too. */
void relay_queue_give_up(struct relay *relay);
/* Whatever becomes of it, it waits no more; tells whether it did. */
bool relay_queue_leave(struct relay *relay);
