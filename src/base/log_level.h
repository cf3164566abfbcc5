/* SPDX-License-Identifier: Apache-2.0 */
/* How important a message of the log is. */
#pragma once

#include "base/attr.h"

/* Names, the most important first; each is also one of syslog(3). */
#define LOG_LEVELS(X)                      \
	X(ERROR, "error", LOG_ERR)         \
	X(WARNING, "warning", LOG_WARNING) \
	X(NOTICE, "notice", LOG_NOTICE)    \
	X(INFO, "info", LOG_INFO)          \
	X(DEBUG, "debug", LOG_DEBUG)

enum log_level {
#define X(id, name, priority) LOG_LEVEL_##id,
	LOG_LEVELS(X)
#undef X
};

/* "error" .. "debug"; -EINVAL for anything else. */
int log_level_parse(const char *text, enum log_level *ret_level) MUST_CHECK;
const char *log_level_name(enum log_level level);
/* As the journal counts: 3 (error) to 7 (debug). */
int log_level_priority(enum log_level level);
