/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of names: * is any characters, ? is one, [a-z] one of a set and [!a-z] one outside of
 * it. Anything else is itself. Nothing is quoted, no locale is asked, and what might mean something
 * else elsewhere (a backslash, braces, a bracket without its partner, [^) makes a pattern invalid
 * instead of one that never fits. Characters are those of UTF-8.
 */
#pragma once

#include "base/str.h"

bool glob_is_valid(struct str pattern);
/* Whether the pattern fits all of the text; an invalid one fits none. Time is at most the product
 * of both lengths. */
bool glob_matches(struct str pattern, struct str text);
