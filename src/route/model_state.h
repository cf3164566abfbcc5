/* SPDX-License-Identifier: Apache-2.0 */
/* Life of struct model_state (route_table.h). The main thread makes them, any thread drops them. */
#pragma once

#include "route/route_table.h"

/* First seen now, with one reference. */
struct model_state *model_state_new(void) MUST_CHECK;
struct model_state *model_state_ref(struct model_state *state);
/* Accepts NULL, returns NULL. */
struct model_state *model_state_unref(struct model_state *state);
