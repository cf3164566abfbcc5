/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Test Anything Protocol for unit tests: main() makes checks and returns tap_done().
 * A failed check prints where it stands and goes on; tap_done() prints the plan.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/faults/faults.h"

static int tap_run, tap_failed;

__attribute__((format(printf, 4, 5), unused)) static bool tap_check(bool passed, const char *file,
								    int line, const char *format,
								    ...)
{
	va_list ap;

	printf("%s %d - ", passed ? "ok" : "not ok", ++tap_run);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	if (!passed) {
		tap_failed++;
		printf("#   at %s:%d\n", file, line);
	}
	fflush(stdout);
	if (!passed)
		faults_give_up();
	return passed;
}

/* ok(condition, "what is expected of %s", thing) */
#define ok(condition, ...) tap_check((condition), __FILE__, __LINE__, __VA_ARGS__)

/* What the test cannot go on without. */
__attribute__((unused)) static void *need(void *made)
{
	if (made)
		return made;
	printf("Bail out! cannot be made\n");
	faults_give_up();
	exit(99);
}

/* Equality that shows both sides when it fails. */
#define is_u64(got, want, ...)                                                  \
	do {                                                                    \
		unsigned long long tap_got = (got), tap_want = (want);          \
		if (!ok(tap_got == tap_want, __VA_ARGS__))                      \
			printf("#   got %llu, want %llu\n", tap_got, tap_want); \
	} while (0)

#define is_int(got, want, ...)                                                  \
	do {                                                                    \
		long long tap_got = (got), tap_want = (want);                   \
		if (!ok(tap_got == tap_want, __VA_ARGS__))                      \
			printf("#   got %lld, want %lld\n", tap_got, tap_want); \
	} while (0)

#define is_text(got, want, ...)                                                                    \
	do {                                                                                       \
		const char *tap_got = (got), *tap_want = (want);                                   \
		if (!ok(tap_got && strcmp(tap_got, tap_want) == 0, __VA_ARGS__))                   \
			printf("#   got  \"%s\"\n#   want \"%s\"\n", tap_got ? tap_got : "(null)", \
			       tap_want);                                                          \
	} while (0)

__attribute__((unused)) static void tap_skip(const char *what, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", ++tap_run, what, why);
}

__attribute__((unused)) static int tap_done(void)
{
	printf("1..%d\n", tap_run);
	return tap_failed ? 1 : 0;
}
