/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration in which backends whose host name has several addresses stand once for each of
 * them: everything behind it knows only backends.
 */
#pragma once

#include "config/config.h"

/* Addresses of a backend in digits, NULL for a number that has none. */
struct config_addresses {
	const char *const *texts;
	size_t n; /* 0 leaves the backend as it is */
};

/*
 * `addresses` has one entry per base->backends. The copies are called "name@1" and so on and
 * share everything else with `base`, of which the result holds a reference. With nothing to expand
 * the result is `base` itself, with one more reference. NULL for no memory.
 */
struct config *config_expand(struct config *base,
			     const struct config_addresses *addresses) MUST_CHECK;
/* How long the name is that the backend, perhaps a copy, has in the file. */
size_t config_name_length(const struct backend_config *backend);
