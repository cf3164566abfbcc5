/* SPDX-License-Identifier: Apache-2.0 */
/* A server's share in a listener: its watch on the socket. Internal to http/. */
#pragma once

#include "http/connection.h"

int acceptor_start(struct server *server, const struct listener *listener) MUST_CHECK;
/* Takes what the kernel has queued, then stops. */
void acceptor_drain_all(struct server *server);
void acceptor_stop_all(struct server *server);
