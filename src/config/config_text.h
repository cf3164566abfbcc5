/* SPDX-License-Identifier: Apache-2.0 */
/* One text in libconfig's syntax into a draft. The only place that knows libconfig. */
#pragma once

#include "base/attr.h"
#include "base/str.h"
#include "config/config_draft.h"

enum { CONFIG_TEXT_MAX = 1 << 20 }; /* bytes of one text */

/*
 * `name` has to live as long as the draft's configuration; NULL is built in. Scalars replace, lists
 * grow. -EINVAL or -ENOMEM with the line in draft->error. Reads no other file: @include is refused.
 */
int config_text_read(struct config_draft *draft, const char *name, struct str text) MUST_CHECK;
