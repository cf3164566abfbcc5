/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration as a JSON document: every option as schema.def names it, groups as objects,
 * values as they would be written. Keys are not in it, nor the names of their files.
 */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "config/config.h"

/* Stands for the name of a credential: people paste keys there. */
#define CONFIG_HIDDEN "(hidden)"

/* Appends the document. -ENOMEM, -EMSGSIZE of the buffer; it then holds garbage. */
int config_json_write(const struct config *config, struct buf *out) MUST_CHECK;
