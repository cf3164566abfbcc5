/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said about a bad configuration: one line, "FILE:LINE: what is wrong; what to do".
 * Values are quoted only where they cannot be secrets.
 */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "config/config.h"

enum { CONFIG_PLACE_MAX = 4200 }; /* a path and a line */

/* "FILE:LINE", "FILE" when there is no line, or "built in"; cut to fit. Returns `place`. */
const char *config_place(struct config_origin origin, char place[static CONFIG_PLACE_MAX]);

/* Writes the line and returns -EINVAL (-ENOMEM if even that failed). `format` is translated (its
 * call marks it), its arguments are not. Bytes that are no text become question marks, so that it
 * stays one line; past the ceiling of `error` it is cut. */
int config_error(struct buf *error, struct config_origin origin, const char *format, ...) MUST_CHECK
	PRINTF_LIKE(3, 4);
/* Says "out of memory" and returns -ENOMEM. */
int config_error_memory(struct buf *error) MUST_CHECK;
