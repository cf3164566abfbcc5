/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys from files. A secret is text in memory of its own that is wiped when freed; nothing here
 * puts one, or the name of its file (people paste keys there), into a message.
 */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "config/config.h"

/* Reads the key of each backend that names a credential into its `authorization`.
 * -EINVAL or -ENOMEM with the line in `error`. */
int secrets_load(struct config *config, struct buf *error) MUST_CHECK;
/* Wipes and frees; accepts NULL, returns NULL. */
char *secrets_free(char *secret);
