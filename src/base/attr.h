/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler attributes and the few macros every file may use. */
#pragma once

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
/* Positions counted from 1; `args` is 0 for a va_list. */
#define PRINTF_LIKE(text, args) __attribute__((format(printf, text, args)))
#define UNUSED                  __attribute__((unused))

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* The object of `type` whose field `member` is at `pointer`. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
