/* SPDX-License-Identifier: Apache-2.0 */
/* Integers as decimal text, for loops where printf would be most of the cost. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { DECIMAL_MAX = 32 }; /* bytes any of them writes at most; no NUL */

/* All return where the text ends. */
char *decimal_u64(char *p, uint64_t value);
char *decimal_i64(char *p, int64_t value);
/* Billionths (nanoseconds as seconds): exact, the shortest with a point (1.5, 12.0, 0.000000001).
 */
char *decimal_nano(char *p, uint64_t ns);
