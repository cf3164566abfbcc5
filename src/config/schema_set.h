/* SPDX-License-Identifier: Apache-2.0 */
/* From a value as written to a field: type, range and grammar by the option's row. */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "config/config_value.h"
#include "config/schema.h"

/* Sets the field of any type but GROUPS; what was there is replaced. On failure it is as it was;
 * -EINVAL or -ENOMEM with the line in `error`. */
int schema_set(const struct option *option, void *object, const struct config_value *value,
	       struct buf *error) MUST_CHECK;

/* The row's range in the unit of the field: bytes of a text, elements of a list. 0 and UINT64_MAX
 * for types that have none. */
void schema_range(const struct option *option, uint64_t *ret_min, uint64_t *ret_max);
