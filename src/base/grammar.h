/* SPDX-License-Identifier: Apache-2.0 */
/* What bytes from outside may be made of: said once, so that front, back and file agree. */
#pragma once

#include "base/str.h"

/* ASCII letters, digits and `others`, at least one of them. */
bool grammar_is_word(struct str s, const char *others);
/* RFC 9110, section 5.6.2: a method, the name of a field. */
bool grammar_is_token(struct str s);
/* RFC 9110, section 5.5: HTAB is the one control character that it may hold; obs-text may pass. May
 * be empty. */
bool grammar_is_field_value(struct str s);
/* Below a blank, or DEL. */
bool grammar_has_control(struct str s);
