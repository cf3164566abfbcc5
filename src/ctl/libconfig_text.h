/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration that is JSON (config/config_json.h) as it is written in a file. */
#pragma once

#include "base/attr.h"
#include "base/buf.h"

struct json_object;

/* Appends one setting after the other. -ENOMEM, -EMSGSIZE of the buffer. */
int libconfig_text_write(struct json_object *config, struct buf *out) MUST_CHECK;
