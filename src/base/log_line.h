/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a message of the log is written: for the journal, for people, as JSON. Text from outside is
 * escaped and cut, a field that does not fit whole is left out. Internal to log.c; allocates
 * nothing.
 */
#pragma once

#include <stddef.h>

#include "base/log.h"
#include "base/str.h"

#define LOG_TEXT_MAX_BYTES  2048 /* of a message, as escaped */
#define LOG_VALUE_MAX_BYTES 256  /* of a field's value, as escaped */
#define LOG_NAME_MAX_BYTES  64   /* journald refuses longer names */
#define LOG_ENTRY_MAX_BYTES \
	(LOG_TEXT_MAX_BYTES + 128 + LOG_MAX_FIELDS * (LOG_NAME_MAX_BYTES + LOG_VALUE_MAX_BYTES + 2))

struct log_entry {
	enum log_level level;
	const char *message_id; /* NULL: none */
	struct str text;        /* at most LOG_TEXT_MAX_BYTES */
	const struct log_field *fields;
	size_t n_fields;
};

/* Each returns how many bytes of `out` it wrote. */

/* The journal's native protocol: NAME=value, one a line. `size` >= LOG_ENTRY_MAX_BYTES takes
 * everything. */
size_t log_line_journal(const struct log_entry *entry, char *out, size_t size);
/* "TIME LEVEL: text name=value ..." and a newline. */
size_t log_line_text(const struct log_entry *entry, char *out, size_t size);
/* One JSON object by RFC 8259 and a newline. */
size_t log_line_json(const struct log_entry *entry, char *out, size_t size);
