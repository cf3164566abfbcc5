/* SPDX-License-Identifier: Apache-2.0 */
#include "base/message.h"

#include <string.h>

#include "base/attr.h"

static const struct {
	const char *id;
	enum log_level level;
} rows[] = {
#define MESSAGE(id, level, ...) [MESSAGE_##id] = {NEXUSD_MESSAGE_##id, LOG_LEVEL_##level},
#include "base/message.def"
#undef MESSAGE
};

enum field_kind { FIELD_TEXT, FIELD_NUMBER };

static const struct {
	const char *name;
	enum field_kind kind;
} fields[] = {
#define FIELD(id, kind, help) {NEXUSD_FIELD_##id, FIELD_##kind},
#include "base/message.def"
#undef FIELD
};

enum log_level message_level(enum message message)
{
	return rows[message].level;
}

const char *message_id(enum message message)
{
	return rows[message].id;
}

bool message_field_is_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strcmp(name, fields[i].name) == 0)
			return fields[i].kind == FIELD_NUMBER;
	return false;
}
