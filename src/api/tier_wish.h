/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says about tiers: X-Nexus-Strict, X-Nexus-Flexible. Internal to api/. */
#pragma once

#include "api/request.h"
#include "route/attempts.h"

/* False: it was wrong, and the client has been told. */
bool tier_wish_read(struct request *request, enum tier_wish *ret_wish);
