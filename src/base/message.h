/* SPDX-License-Identifier: Apache-2.0 */
/* The events that are logged with a MESSAGE_ID, and their fields; the rows are in message.def. */
#pragma once

#include <stdbool.h>

#include "base/log_level.h"
#include "nexusd/messages.h"

enum message {
#define MESSAGE(id, ...) MESSAGE_##id,
#include "base/message.def"
#undef MESSAGE
	N_MESSAGES
};

enum log_level message_level(enum message message);
/* Its MESSAGE_ID. */
const char *message_id(enum message message);
/* Whether the values of a field, by its full name, are numbers; a field that no row has is none. */
bool message_field_is_number(const char *name);
