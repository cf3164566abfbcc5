/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label values as text faces show them. Every value is valid UTF-8, not empty and at most
 * LABEL_MAX_BYTES long. Unless `raw`, the names of models and backends (the labels model,
 * from_model, to_model and backend) are reduced to [A-Za-z0-9_] as well; all other labels have
 * values of nexusd's own making, such as /v1/models or 200, and stay readable.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"
#include "metrics/catalog.h"

#define LABEL_MAX_BYTES 128 /* of a value, before escaping */

/* Are its values the names of models or backends, and not of nexusd's own making? */
bool label_names_the_fleet(struct str label);
/* Appends name="value",name="value" for all labels of a family; nothing for none. -ENOMEM,
 * -EMSGSIZE. */
int label_write_all(struct buf *out, enum metric metric, const struct str *values,
		    bool raw) MUST_CHECK;
