/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which backend goes on as which when the addresses of a host change: that of the same address,
 * whatever number either has. Main thread only.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"
#include "config/config.h"
#include "route/route_table.h"

struct daemon;

/* Makes the backends of `config` that are to be other ones than those known. Until they are asked
 * they are taken to have the models of their host. -ENOMEM. */
int succession_introduce(struct daemon *daemon, const struct config *config) MUST_CHECK;
/* Who is new in `table` drains if its address did in `before`, or all of its host were to drain.
 * `before` may be NULL. */
void succession_hand_on(const struct route_table *before, const struct route_table *table);

/* < 0 ends it. */
typedef int succession_tell_fn(void *context, bool drained, struct str what);
/* To another process: calls `tell` with what succession_set_drain() takes there. */
void succession_tell_drains(const struct route_table *table, succession_tell_fn *tell,
			    void *context);
/* `what` is a name of the configuration, for all that it has, or with a blank and an address for
 * that one. */
void succession_set_drain(struct daemon *daemon, bool drained, struct str what);
