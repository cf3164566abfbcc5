/* SPDX-License-Identifier: Apache-2.0 */
/* A server's share in a listener: its watch on the socket. Internal to http/. */
#pragma once

#include "http/connection.h"

struct acceptor;

/* A reference to the listener. */
int acceptor_start(struct server *server, struct listener *listener) MUST_CHECK;
/* NULL when there is none. */
struct acceptor *acceptor_find(const struct server *server, const struct listener *listener);
/* Stops those whose listener is none of these; what the kernel has queued is taken first, unless
 * one of these has the same queue. */
void acceptor_keep_only(struct server *server, struct listener *const *listeners, size_t n);
/* Takes what the kernel has queued, then stops. */
void acceptor_drain_all(struct server *server);
void acceptor_stop_all(struct server *server);
