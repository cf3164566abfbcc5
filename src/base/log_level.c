/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_level.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

static const struct {
	const char *name;
	int priority;
} levels[] = {
#define X(id, name, priority) [LOG_LEVEL_##id] = {name, priority},
	LOG_LEVELS(X)
#undef X
};

int log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (strcmp(text, levels[i].name) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
	return levels[level].name;
}

int log_level_priority(enum log_level level)
{
	return levels[level].priority;
}
