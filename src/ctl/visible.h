/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from elsewhere on its way to a terminal: names of models, errors of backends. What a
 * terminal would obey (control characters), what turns or hides text (bidirectional marks, zero
 * width) and what is no UTF-8 is written as \u001B or \xFF instead.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"

/* With `keeps_lines`, newlines and tabs pass. JSON stays the same JSON. -ENOMEM, -EMSGSIZE. */
int visible_append(struct buf *out, struct str text, bool keeps_lines) MUST_CHECK;
/* How many columns of a terminal visible text takes. */
size_t visible_width(struct str text);
/* The longest prefix that takes at most `columns`. */
struct str visible_cut(struct str text, size_t columns);
