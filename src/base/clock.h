/* SPDX-License-Identifier: Apache-2.0 */
/* Time: monotonic nanoseconds for durations, real time only for what people read. */
#pragma once

#include <stdint.h>

#define NS_PER_SEC  1000000000ull
#define NS_PER_MSEC 1000000ull
#define NS_PER_USEC 1000ull

uint64_t clock_monotonic_ns(void);
/* Seconds, milliseconds since 1970-01-01T00:00:00Z. */
uint64_t clock_realtime_msec(void);
