/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One option being set, for schema_set.c and the setters that have files of their own. All return 0
 * or -EINVAL with one line in `error`.
 */
#pragma once

#include "config/config_value.h"
#include "config/schema.h"

/* What is set, from what, and where complaints go. */
struct assignment {
	const struct option *option;
	const struct config_value *value;
	struct buf *error;
};

/* "NAME `wrong`; what to write for this type" */
int assignment_refuse(const struct assignment *a, const char *wrong);
/* "NAME `wrong`", which says itself what to do. */
int assignment_refuse_saying(const struct assignment *a, const char *wrong);
/* The value is nothing that this type could be. */
int assignment_refuse_type(const struct assignment *a);

/* schema_set.c: every type that is one text but those of words */
int assignment_set_text(const struct assignment *a, void *field);
/* schema_lists.c */
int assignment_set_texts(const struct assignment *a, void *field);
int assignment_set_flags(const struct assignment *a, void *field);
int assignment_set_bounds(const struct assignment *a, void *field);
