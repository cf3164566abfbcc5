/* SPDX-License-Identifier: Apache-2.0 */
/* The line that systemctl status shows: how it goes. */
#pragma once

#include "base/attr.h"

struct daemon;

enum { STATUS_BYTES = 512 };

/* Written into `text`, which is returned. Main thread only. */
const char *status_text(const struct daemon *daemon, char text[static STATUS_BYTES]);
