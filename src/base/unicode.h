/* SPDX-License-Identifier: Apache-2.0 */
/* Which characters a text from elsewhere must not bring to a terminal or into a log. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* The number of one well-formed character in UTF-8. */
uint32_t unicode_code_point(struct str character);
/* What terminals obey (control characters), and what turns, breaks or hides text (separators,
 * bidirectional marks, zero width). */
bool unicode_is_hidden(uint32_t code_point);
