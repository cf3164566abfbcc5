/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which backend goes on as which when the addresses of a host change: that of the same address,
 * whatever number either has. Main thread only.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"
#include "daemon/channel.h"
#include "config/config.h"
#include "route/route_table.h"

struct daemon;

/* Makes the backends of `config` that are to be other ones than those known. Until they are asked
 * they are taken to have the models of their host. -ENOMEM. */
int succession_introduce(struct daemon *daemon, const struct config *config) MUST_CHECK;
/* Who is new in `table` drains if its address did in `before`, or all of its host were to drain.
 * `before` may be NULL. */
void succession_hand_on(const struct route_table *before, const struct route_table *table);

/* DRAINED, UNDRAINED or ABSENT; < 0 ends it. */
typedef int succession_tell_fn(void *context, enum channel_kind kind, struct str what);
/* To another process: calls `tell` with what succession_set_drain() or succession_set_absent()
 * takes there. */
void succession_tell_drains(const struct daemon *daemon, succession_tell_fn *tell, void *context);
/* `what` is a name of the configuration, for all that it has, or with a blank and an address for
 * that one. */
void succession_set_drain(struct daemon *daemon, bool drained, struct str what);
/* `what` is a name with a blank and an address that it has not now: should it have it again, that
 * one is drained. Without memory for that it is not. */
void succession_set_absent(struct daemon *daemon, struct str what);
