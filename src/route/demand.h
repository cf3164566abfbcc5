/* SPDX-License-Identifier: Apache-2.0 */
/* What routing.policies demand of the backends that serve a request. Values, any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "config/config.h"

struct demand {
	bool restricted;   /* none outside the zone restricted */
	uint64_t min_tier; /* 0: any */
	uint64_t max_tier; /* of a strict policy; 0: any. Below min_tier when two contradict */
};

/* What the first policy that fits the name demands; nothing when none does. */
struct demand demand_of_name(const struct config *config, struct str name);
/* That of both: whoever meets it meets each. */
struct demand demand_join(struct demand one, struct demand other);
