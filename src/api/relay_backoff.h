/* SPDX-License-Identifier: Apache-2.0 */
/* The wait of a request before the same backend is asked again. Worker-local. Internal to relay.c
 * and what it is made of. */
#pragma once

#include <stdint.h>

#include "base/attr.h"

struct relay;

/* relay->backoff fires when it is over; relay_backoff_end() must follow. -ENOMEM. */
int relay_backoff_begin(struct relay *relay, uint64_t wait_ns) MUST_CHECK;
/* It is over, or not waited for any more. Safe to call again. */
void relay_backoff_end(struct relay *relay);
