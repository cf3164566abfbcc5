/* SPDX-License-Identifier: Apache-2.0 */
#include "api/relay_backoff.h"

#include "api/relay_state.h"
#include "base/clock.h"

int relay_backoff_begin(struct relay *relay, uint64_t wait_ns)
{
	relay->backoff_since_ns = clock_monotonic_ns();
	return loop_timer_set(relay_loop(relay), &relay->backoff,
			      relay->backoff_since_ns + wait_ns);
}

void relay_backoff_end(struct relay *relay)
{
	if (!relay->backoff_since_ns)
		return;
	loop_timer_clear(relay_loop(relay), &relay->backoff);
	relay->waited_ns += clock_monotonic_ns() - relay->backoff_since_ns;
	relay->backoff_since_ns = 0;
}
