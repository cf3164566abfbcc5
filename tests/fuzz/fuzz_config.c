/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text is either a configuration, equal to itself, or one line that says what is wrong.
 * No file is read: neither for credentials nor by @include.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "config/config.h"

enum { ERROR_MAX_BYTES = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The sanitizer asks for it by this name.
 * NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
const char *__lsan_default_suppressions(void);

/* libconfig drops the string token that a syntax error stops at, one per bad file. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig_yyparse\nleak:libconfig.so";
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void check_config(struct config *config)
{
	struct buf differences;

	buf_init(&differences, ERROR_MAX_BYTES);
	assert(config_restart_differences(config, config, &differences) == 0);
	assert(differences.len == 0);
	assert(config->n_listeners > 0);
	buf_done(&differences);
}

static void check_line(struct str line)
{
	assert(line.n > 0 && memmem(line.p, line.n, "; ", 2));
	for (size_t i = 0; i < line.n; i++)
		assert((unsigned char)line.p[i] >= 0x20 && line.p[i] != 0x7F);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = NULL;
	struct buf error;
	int r;

	buf_init(&error, ERROR_MAX_BYTES);
	r = config_parse_text("fuzz.conf", (struct str){(const char *)data, size}, &config, &error);
	if (r == 0) {
		check_config(config);
	} else {
		assert(r == -EINVAL && !config);
		check_line(buf_str(&error));
	}
	config_unref(config);
	buf_done(&error);
	return 0;
}
