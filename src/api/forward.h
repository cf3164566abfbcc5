/* SPDX-License-Identifier: Apache-2.0 */
/* The two allow-lists of headers: what passes from the client to a backend, and back. Both are
 * printed in nexusd(8). Everything else stays where it is, as does what Connection names. */
#pragma once

#include "api/request.h"
#include "upstream/transfer.h"

#define FORWARD_HEADERS_MAX 16

/* Fills `headers` (FORWARD_HEADERS_MAX) for an attempt at `backend`; returns how many. They borrow
 * from the request. */
size_t forward_request_headers(const struct request *request, const struct backend_config *backend,
			       struct header *headers);
/* Does the header of this name in a backend's answer say how its body is to be read? Then the
 * client needs it, even if Connection names it, which RFC 9110, section 7.6.1, forbids. */
bool forward_is_about_body(struct str name);
/* May the header of this name in a backend's answer go to the client, if it is none of those? */
bool forward_allows_answer(const struct transfer_head *head, struct str name);
