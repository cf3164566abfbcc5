/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations for tests: from a text, or from files in a directory of the test's own. */
#pragma once

#include <errno.h>
#include <stdlib.h>

#include "config/config.h"
#include "config/config_error.h"
#include "tests/tap.h"

/* What a text gives: a configuration, or a line. Both freed by done(). */
struct result {
	struct config *config;
	struct buf error;
	int r;
};

/* The line, "" when there is none; kept until the next call. */
UNUSED static const char *error_of(struct result *result)
{
	static char kept[CONFIG_PLACE_MAX + 1024];
	size_t n;
	char *text = buf_take(&result->error, &n);

	snprintf(kept, sizeof(kept), "%s", text ? text : "");
	free(text);
	return kept;
}

UNUSED static void parse(struct result *result, const char *text)
{
	*result = (struct result){0};
	buf_init(&result->error, 4096);
	result->r = config_parse_text("t.conf", str_of(text), &result->config, &result->error);
}

UNUSED static void done(struct result *result)
{
	result->config = config_unref(result->config);
	buf_done(&result->error);
}
