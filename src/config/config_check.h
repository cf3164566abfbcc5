/* SPDX-License-Identifier: Apache-2.0 */
/* What no single option can be judged by: names against one another, aliases, faces. */
#pragma once

#include "base/attr.h"

struct config_draft;

/* Also fills in what one field implies for another: the usual address of an Ollama.
 * -EINVAL or -ENOMEM with the line in the draft's `error`. */
int config_check(const struct config_draft *draft) MUST_CHECK;
