/* SPDX-License-Identifier: Apache-2.0 */
/* The admin socket of the nexusd that runs: where it is, and why it does not answer. */
#pragma once

#include "base/attr.h"
#include "config/admin_socket.h"
#include "ctl/response.h"

/* The one that is named, else the usual one. CTL_OK, or the status of the failed answer. */
int admin_place_find(const char *named, char path[static ADMIN_SOCKET_MAX],
		     struct response *answer) MUST_CHECK;
/* CTL_OK when somebody listens there; curl would only say that it could not connect. */
int admin_place_probe(const char *path, struct response *answer) MUST_CHECK;
