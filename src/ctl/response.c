/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/response.h"

#include <stdarg.h>
#include <stdio.h>

#define BODY_MAX_BYTES (64u << 20)

void response_init(struct response *answer)
{
	*answer = (struct response){.status = CTL_OK};
	buf_init(&answer->body, BODY_MAX_BYTES);
}

void response_done(struct response *answer)
{
	buf_done(&answer->body);
}

int response_fail(struct response *answer, int status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(answer->error, sizeof(answer->error), format, ap);
	va_end(ap);
	answer->status = status;
	return status;
}

int response_say(const struct response *answer)
{
	return ctl_fail(answer->status, "%s", answer->error);
}
