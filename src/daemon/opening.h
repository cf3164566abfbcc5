/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listeners that a configuration asks for: each is found among the sockets that are there, of
 * the service manager, of the process before or of the configuration before, else opened. What is
 * in force is not touched, so that all of it can be given up again. Main thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "config/config.h"
#include "http/listener.h"

/* A socket that is there. */
struct opening_socket {
	int fd;
	const char *name;          /* FileDescriptorName=; NULL: nexusd opened it */
	struct listener *listener; /* whose it is; NULL: of nobody here yet */
	bool is_leaving;           /* was given up: of use only if it is asked for again */
};

struct opening {
	const struct config *config;
	const struct opening_socket *candidates;
	size_t n_candidates;
	struct buf *error;
	bool *taken; /* listeners of the configuration that have a socket */

	struct listener **listeners; /* a reference to each */
	size_t n;
};

/* -EINVAL or -ENOMEM with the line in `error`, and nothing is open that was not before. Else
 * opening->listeners and its references are the caller's. A socket of nobody's is duplicated. */
int opening_make(struct opening *opening) MUST_CHECK;
/* Unix sockets that nexusd made get their mode and are to be removed at the end. -errno. */
int opening_own_files(const struct opening *opening) MUST_CHECK;
/* Gives the listeners up. */
void opening_abandon(struct opening *opening);
