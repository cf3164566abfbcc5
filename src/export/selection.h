/* SPDX-License-Identifier: Apache-2.0 */
/* Which families a scraper asks for: name[]=NAME in the query, as Prometheus' clients have it. */
#pragma once

#include <stdbool.h>

#include "metrics/registry.h"

/* Each name may be a family's or a sample's; one that is nobody's selects nothing. False when the
 * query names none: `only` was not written then, and all are meant. */
bool selection_parse(const struct registry *registry, struct str query,
		     bool only[static N_METRICS]);
