/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a program with inherited sockets, as a service manager does (sd_listen_fds(3)). */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "daemon/service.h"

/*
 * Runs argv[0] with the sockets under their names and nothing else open but the standard streams.
 * It is no child of this process but of the one that takes in orphans: the service manager, who
 * thus learns how it ends. 0 once the program runs; -errno of what failed before.
 */
int spawn_with_sockets(char *const *argv, const struct service_socket *sockets, size_t n,
		       pid_t *ret_pid) MUST_CHECK;
