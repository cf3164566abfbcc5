/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: journald's native fields when stderr is the journal, one line on stderr otherwise. Any
 * thread; one message is one write. It never waits for its reader: what does not get out at once
 * is lost, counted, and told about with the next message. Text from outside is escaped and cut to
 * 256 bytes per field. It is the only mutable global of nexusd.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/log_level.h"
#include "base/message.h"

#define LOG_MAX_FIELDS 24 /* of one message */

/* Where journald takes messages (systemd's docs/JOURNAL_NATIVE_PROTOCOL.md). */
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

/* One structured field; name as in include/nexusd/messages.h. A NULL value leaves it out. */
struct log_field {
	const char *name;
	const char *value;
};

/* Chooses the journal by $JOURNAL_STREAM (systemd.exec(5)); call once, before any thread starts.
 * `journal_socket` is kept. */
void log_init(const char *journal_socket);
void log_set_level(enum log_level level);
/* What stderr gets is JSON from now on; the journal is not affected. */
void log_set_json(bool json);
bool log_is_enabled(enum log_level level);
/* How many messages were lost since the start. */
uint64_t log_lost_total(void);

void log_write(enum log_level level, const struct log_field *fields, size_t n_fields,
	       const char *format, ...) PRINTF_LIKE(4, 5);
/* The same with the MESSAGE_ID and the level of a row of message.def. */
void log_event_with(enum message message, const struct log_field *fields, size_t n_fields,
		    const char *format, ...) PRINTF_LIKE(4, 5);

/* And without fields. */
#define log_event(message, ...) log_event_with(message, NULL, 0, __VA_ARGS__)

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
