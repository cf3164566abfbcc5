/* SPDX-License-Identifier: Apache-2.0 */
#include "route/model_state.h"

#include <stdlib.h>

#include "base/clock.h"

struct model_state *model_state_new(void)
{
	struct model_state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->references = 1;
	state->first_seen_seconds = clock_realtime_msec() / 1000;
	return state;
}

struct model_state *model_state_ref(struct model_state *state)
{
	atomic_fetch_add_explicit(&state->references, 1, memory_order_relaxed);
	return state;
}

struct model_state *model_state_unref(struct model_state *state)
{
	if (!state)
		return NULL;
	/* Pairs with itself: the last one sees the others' last use. */
	if (atomic_fetch_sub_explicit(&state->references, 1, memory_order_acq_rel) == 1)
		free(state);
	return NULL;
}
