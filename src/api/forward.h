/* SPDX-License-Identifier: Apache-2.0 */
/* The two allow-lists of headers: what passes from the client to a backend, and back. Both are
 * printed in nexusd(8). Everything else stays where it is. */
#pragma once

#include "api/request.h"
#include "upstream/transfer.h"

#define FORWARD_HEADERS_MAX 16

/* Fills `headers` (FORWARD_HEADERS_MAX) for an attempt at `backend`; returns how many. They borrow
 * from the request. */
size_t forward_request_headers(const struct request *request, const struct backend_config *backend,
			       struct header *headers);
/* May the backend's header of this name go to the client? */
bool forward_allows_answer(struct str name);
