/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json-c behind a fence: reading documents of our own that jsonscan has accepted, and writing those
 * nexusd makes (stats, health, models, errors). Not for what others send: it makes 750 bytes of an
 * empty object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"

struct json_object; /* json-c's; freed with jsonx_free() */

/* Scans strictly, then parses; NULL when either refuses, a name holds U+0000 or memory is out. Of
 * members with one name the last counts. The caller owns it. */
struct json_object *jsonx_parse(struct str text) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct json_object *jsonx_free(struct json_object *object);

/* Borrowed member of an object; NULL when absent or when `object` is not an object. */
struct json_object *jsonx_get(struct json_object *object, const char *name);
/* Array access; length 0 when it is not an array. */
size_t jsonx_length(struct json_object *array);
struct json_object *jsonx_at(struct json_object *array, size_t index);
/* Borrowed text of a string value, {NULL, 0} when it is none. */
struct str jsonx_string(struct json_object *value);
enum jsonx_kind {
	JSONX_NULL, /* also what is absent */
	JSONX_BOOL,
	JSONX_NUMBER,
	JSONX_STRING,
	JSONX_ARRAY,
	JSONX_OBJECT
};
enum jsonx_kind jsonx_kind(struct json_object *value);
/* 0 unless it is a number. */
double jsonx_number(struct json_object *value);
/* Its JSON text, numbers as they were written; it lives until the next call or the value's end.
 * NULL for no memory. */
const char *jsonx_text(struct json_object *value, bool is_pretty);
/* -EINVAL unless it is an integer >= 0. */
int jsonx_u64(struct json_object *value, uint64_t *ret_value) MUST_CHECK;
/* Visits an object's members: start with *cursor = NULL; false at the end. */
bool jsonx_next_member(struct json_object *object, void **cursor, const char **ret_name,
		       struct json_object **ret_value);

/*
 * A writer: appends JSON text to a buffer, putting commas and quotes where they belong. Any
 * failure (no memory, ceiling) sticks in `error`, so that callers check once, at the end.
 */
struct jsonw {
	struct buf *out;
	int error;
	bool comma;
};

void jsonw_begin(struct jsonw *w, struct buf *out);
/* `name` NULL for an element of an array or the document itself. */
void jsonw_object(struct jsonw *w, const char *name);
void jsonw_object_end(struct jsonw *w);
void jsonw_array(struct jsonw *w, const char *name);
void jsonw_array_end(struct jsonw *w);
/* Invalid UTF-8 becomes U+FFFD. {NULL, 0} writes null. */
void jsonw_string(struct jsonw *w, const char *name, struct str value);
void jsonw_u64(struct jsonw *w, const char *name, uint64_t value);
/* `tenths` 123 is written as 12.3. */
void jsonw_tenths(struct jsonw *w, const char *name, uint64_t tenths);
void jsonw_bool(struct jsonw *w, const char *name, bool value);
/* Text that already is JSON. */
void jsonw_raw(struct jsonw *w, const char *name, struct str json);
