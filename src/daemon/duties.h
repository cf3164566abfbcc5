/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the main process of a service does beside serving: it tells the service manager how it goes,
 * feeds its watchdog and has it keep the sockets. During a handover the old process has these
 * duties until the new one serves. Main thread only.
 */
#pragma once

#include "base/attr.h"

struct daemon;

void duties_init(struct daemon *daemon);
/* From now on this is the main process: ready. -ENOMEM. */
int duties_take(struct daemon *daemon) MUST_CHECK;
/* The timers end. Safe to call again. */
void duties_drop(struct daemon *daemon);
