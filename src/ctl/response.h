/* SPDX-License-Identifier: Apache-2.0 */
/* What came of a request to nexusd: a document, or the line to say. Embedded in its user. */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "ctl/ctl.h"

struct response {
	int status;    /* CTL_OK for any 2xx, else why not */
	unsigned http; /* 0 when there was no answer */
	struct buf body;
	char error[1024]; /* what to say, unless CTL_OK */
};

void response_init(struct response *answer);
void response_done(struct response *answer);
/* Returns the status. */
int response_fail(struct response *answer, int status, const char *format, ...) PRINTF_LIKE(3, 4);
/* Says the error; returns the status. */
int response_say(const struct response *answer);
