/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop's HTTP client: the libcurl multi handle with its connections, the pool of reused easy
 * handles and the timers. One per loop; all of it on that loop's thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "loop/loop.h"

struct client;

/* Once per process, before any thread: 0 or -EIO. */
int client_global_init(void) MUST_CHECK;
void client_global_done(void);

struct client *client_new(struct loop *loop) MUST_CHECK;
/* The last `n` descriptors, but never more than a quarter of all, are not for its connections. A
 * transfer that finds no other ends as OUTCOME_CANCELLED: that is not the backend's doing. */
void client_spare_files(struct client *client, size_t n);
/* No transfer may be running. Accepts NULL, returns NULL. */
struct client *client_free(struct client *client);
/* Of libcurl: "7.88.1". */
const char *client_version(void);
/* Of the library it uses for TLS: "OpenSSL/3.0.17". */
const char *client_tls_version(void);
