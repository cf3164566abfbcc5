/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: journald's native fields when stderr is the journal, one readable line on stderr
 * otherwise. Any thread; one message is one write. Text from outside is escaped and cut to 256
 * bytes per field. It is the only mutable global of nexusd.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

#define LOG_MAX_FIELDS 24 /* of one message */

/* One structured field; name as in include/nexusd/messages.h. A NULL value leaves it out. */
struct log_field {
	const char *name;
	const char *value;
};

/* Chooses the journal by $JOURNAL_STREAM (systemd.exec(5)); call once, before any thread starts. */
void log_init(void);
void log_set_level(enum log_level level);
bool log_is_enabled(enum log_level level);
/* "error" .. "debug"; -EINVAL for anything else. */
int log_level_parse(const char *text, enum log_level *ret_level) MUST_CHECK;
const char *log_level_name(enum log_level level);

void log_write(enum log_level level, const struct log_field *fields, size_t n_fields,
	       const char *format, ...) PRINTF_LIKE(4, 5);

#define log_at(level, ...)                                      \
	do {                                                    \
		if (log_is_enabled(level))                      \
			log_write(level, NULL, 0, __VA_ARGS__); \
	} while (0)
#define log_error(...)   log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
