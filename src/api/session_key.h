/* SPDX-License-Identifier: Apache-2.0 */
/* What a request belongs to, for the strategy session: routing.session_key. Internal to api/. */
#pragma once

#include "api/request.h"

/* A hash that is the same in every process; 0 when the request does not say. */
uint64_t session_key_hash(const struct request *request);
