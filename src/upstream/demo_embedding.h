/* SPDX-License-Identifier: Apache-2.0 */
/* The demo backend's embeddings: small vectors that depend on nothing but the input. */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"

#define DEMO_EMBEDDING_DIMENSIONS 8
#define DEMO_EMBEDDING_MAX_INPUTS 2048

/* Appends the answer to `out`. -ENOMEM; -EINVAL when the body is no JSON; -EBADMSG with the name
 * of the field that is missing or no good. */
int demo_embedding_write(struct buf *out, struct str body, const char **ret_bad_field) MUST_CHECK;
