/* SPDX-License-Identifier: Apache-2.0 */
/* What no single option can be judged by: names against one another, aliases, faces. */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "config/config.h"

/* Also fills in what one field implies for another: the usual address of an Ollama.
 * -EINVAL or -ENOMEM with the line in `error`. */
int config_check(struct config *config, struct buf *error) MUST_CHECK;
