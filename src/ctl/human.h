/* SPDX-License-Identifier: Apache-2.0 */
/* Amounts as people say them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { HUMAN_MAX = 64 };

/* "3 d 4 h", "12 min 5 s", "0 s". Returns `text`. */
const char *human_duration(uint64_t seconds, char text[static HUMAN_MAX]);
/* "1.532 ms", "12.004 s" */
const char *human_ns(uint64_t ns, char text[static HUMAN_MAX]);
/* A moment in local time; seconds since 1970. */
const char *human_time(uint64_t seconds, char text[static HUMAN_MAX]);
