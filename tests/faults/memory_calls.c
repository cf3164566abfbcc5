/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/faults/calls.h"

CALL(void *, malloc, (size_t n), (n), NULL, ENOMEM)
CALL(void *, calloc, (size_t n, size_t size), (n, size), NULL, ENOMEM)
CALL(void *, realloc, (void *old, size_t n), (old, n), NULL, ENOMEM)
CALL(void *, reallocarray, (void *old, size_t n, size_t size), (old, n, size), NULL, ENOMEM)
CALL(char *, strdup, (const char *text), (text), NULL, ENOMEM)
CALL(int, vasprintf, (char **text, const char *format, va_list ap), (text, format, ap), -1, ENOMEM)

int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));

int __wrap_asprintf(char **text, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = __wrap_vasprintf(text, format, ap);
	va_end(ap);
	return n;
}
