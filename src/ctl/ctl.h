/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexusctl: what all of its commands share. A program of one thread that ends soon: it runs one
 * command of commands.def and returns its exit status.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

/* nexusctl(1), EXIT STATUS */
enum ctl_status {
	CTL_OK = 0,
	CTL_FAILED = 1,     /* it was tried, and the answer is no */
	CTL_USAGE = 2,      /* the command line makes no sense */
	CTL_UNREACHABLE = 3 /* nexusd does not run, or may not be asked */
};

/* Where standard output goes. */
struct screen {
	bool is_terminal, has_colors;
	unsigned columns, rows; /* 0 when it is no terminal */
};

struct ctl {
	const char *socket; /* --socket; NULL: the usual place */
	char *url;          /* --url, without a slash at the end; or NULL */
	bool json;
	uint64_t interval_ns;
	char **arguments; /* of the command */
	size_t n_arguments;
	struct screen screen;
};

/* The whole program; translations are below `locale_directory`. */
int ctl_main(int argc, char **argv, const char *locale_directory);

/* Says "nexusctl: ..." on standard error; text from elsewhere is made visible. Returns `status`. */
int ctl_fail(int status, const char *format, ...) PRINTF_LIKE(2, 3);
int ctl_no_memory(void);
/* Writes it to standard output as it is and empties it. An `error` of who made it, or of the
 * writing, is said: the exit status. */
int ctl_print(struct buf *out, int error);
/* How large the terminal is now. */
void ctl_measure(struct screen *screen);

/* The handlers of commands.def. */
#define COMMAND(id, words, arguments, reach, handler, help) int handler(struct ctl *ctl);
#define FLAG(...)
#include "ctl/commands.def"
#undef COMMAND
#undef FLAG
