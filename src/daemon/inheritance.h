/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handover, the side of the process that is new: it has its listening sockets and a channel from
 * the one that runs, adds what that one counted to its own counts, and becomes the main process of
 * the service once it serves. Owned by the daemon; main thread only.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct daemon;
struct inheritance;

/* The name of the channel among the inherited sockets. */
#define INHERITANCE_CHANNEL "nexusd-handover"

/* Takes the inherited sockets into daemon->inherited. When there are some, clients may wait in
 * them: runs the loop until the backends are known or that takes too long, and, after a handover,
 * until the counts so far have come. -ECANCELED: the old process goes on without this one. */
int inheritance_up(struct daemon *daemon) MUST_CHECK;
void inheritance_down(struct daemon *daemon);
/* This process serves: the old one hears it. False: that one has still to give way. */
bool inheritance_serve(struct inheritance *inheritance) MUST_CHECK;
/* Is there an old process that has not given way yet? */
bool inheritance_is_awaited(const struct inheritance *inheritance);
/* Is there an old process that has still to tell what it counted? */
bool inheritance_is_open(const struct inheritance *inheritance);
/* What the old process still has is to end now. */
void inheritance_hurry(struct inheritance *inheritance);
