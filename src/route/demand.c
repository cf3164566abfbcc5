/* SPDX-License-Identifier: Apache-2.0 */
#include "route/demand.h"

#include "base/glob.h"

struct demand demand_of_name(const struct config *config, struct str name)
{
	for (size_t i = 0; i < config->routing.n_policies; i++) {
		const struct policy_config *policy = &config->routing.policies[i];

		if (glob_matches(str_of(policy->match), name))
			return (struct demand){
				.restricted = policy->restricted,
				.min_tier = policy->min_tier,
				.max_tier = policy->strict ? policy->min_tier : 0,
			};
	}
	return (struct demand){0};
}

/* Of two limits; 0 is none. */
static uint64_t lower(uint64_t one, uint64_t other)
{
	return one && (one < other || !other) ? one : other;
}

struct demand demand_join(struct demand one, struct demand other)
{
	return (struct demand){
		.restricted = one.restricted || other.restricted,
		.min_tier = one.min_tier > other.min_tier ? one.min_tier : other.min_tier,
		.max_tier = lower(one.max_tier, other.max_tier),
	};
}
