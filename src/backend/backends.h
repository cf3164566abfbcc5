/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread's list of backends by name: finds the live state again after a reload. */
#pragma once

#include "backend/backend.h"

struct backends;

struct backends *backends_new(void) MUST_CHECK;
struct backends *backends_free(struct backends *backends);
/* A backend of this name with a reference held by the list, made when there is none. NULL for no
 * memory. */
struct backend *backends_obtain(struct backends *backends, struct str name) MUST_CHECK;
/* Takes the reference over; one of the same name gives way. -ENOMEM: it is still the caller's. */
int backends_put(struct backends *backends, struct backend *backend) MUST_CHECK;
/* Borrowed; NULL when absent. */
struct backend *backends_find(const struct backends *backends, struct str name);
/* Drops those that `config` does not name. */
void backends_keep_only(struct backends *backends, const struct config *config);
