/* SPDX-License-Identifier: Apache-2.0 */
/* The structs of config.h, handled by the table: defaults, growth, comparison, freeing. */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"
#include "config/schema.h"

/* Sets every default in an object of zeros. On -ENOMEM it still has to be freed with
 * schema_object_done(). */
int schema_object_init(enum schema_scope scope, void *object) MUST_CHECK;
/* Frees all that its fields own, not the object itself. */
void schema_object_done(enum schema_scope scope, void *object);

/* A new object with its defaults at the end of the list `groups` of `object`; appending another one
 * moves it. -EINVAL, -ENOMEM with the line in `error`. */
int schema_object_append(const struct option *groups, void *object, struct config_origin origin,
			 struct buf *error, void **ret_element) MUST_CHECK;

/* Has the option the same value in two objects? Origins do not count. */
bool schema_object_is_equal(const struct option *option, const void *one, const void *other);
