/* SPDX-License-Identifier: Apache-2.0 */
/* How long a backend asks to be left alone. Any thread. */
#pragma once

#include "upstream/transfer.h"

/* No backend is believed more than this: a slip of its clock must not take it out for a day. */
#define RETRY_AFTER_MOST_SECONDS 600

/* The Retry-After of an answer, RFC 9110 section 10.2.3: seconds, or a date in the one form that is
 * still made (5.6.7), from `unix_seconds` on. 0 when there is none that makes sense. */
uint64_t retry_after_seconds(const struct transfer_head *head, uint64_t unix_seconds);
