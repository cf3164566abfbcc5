/* SPDX-License-Identifier: Apache-2.0 */
/* What a request says about its way beside the model. Internal to api/. */
#pragma once

#include "api/request.h"
#include "route/attempts.h"

struct route_hints {
	enum tier_wish tier_wish; /* X-Nexus-Strict, X-Nexus-Flexible */
};

/* False: it was wrong, and the client has been told. */
bool route_hints_read(struct request *request, struct route_hints *ret_hints);
