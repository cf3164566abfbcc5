/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw access to a field of an object. A list is a pointer with its size_t count behind it, whatever
 * it points to; it is read and written with memcpy() so that no type is broken.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"

static inline void *field_of(const struct option *option, void *object)
{
	return (char *)object + option->offset;
}

static inline const void *field_of_const(const struct option *option, const void *object)
{
	return (const char *)object + option->offset;
}

/* Is it one malloc'ed text? */
static inline bool field_is_text(const struct option *option)
{
	static const bool is_text[] = {
#define X(id, type, advice) _Generic((type){0}, char * : true, default : false),
		OPTION_TYPES(X)
#undef X
	};

	return is_text[option->type];
}

/* Is it a list of them? */
static inline bool field_is_texts(const struct option *option)
{
	static const bool is_texts[] = {
#define X(id, type, advice) _Generic((type){0}, char ** : true, default : false),
		OPTION_TYPES(X)
#undef X
	};

	return is_texts[option->type];
}

static inline void *field_pointer(const void *field)
{
	void *pointer;

	memcpy(&pointer, field, sizeof(pointer));
	return pointer;
}

static inline void field_set_pointer(void *field, const void *pointer)
{
	memcpy(field, &pointer, sizeof(pointer));
}

static inline size_t field_count(const void *field)
{
	size_t count;

	memcpy(&count, (const char *)field + sizeof(void *), sizeof(count));
	return count;
}

static inline void field_set_count(void *field, size_t count)
{
	memcpy((char *)field + sizeof(void *), &count, sizeof(count));
}

/* A zeroed item at the end, NULL for no memory. Doubling at each power of two needs no field for
 * the capacity. */
static inline void *field_append(void *field, size_t size)
{
	size_t count = field_count(field);
	char *items = field_pointer(field);

	if ((count & (count - 1)) == 0) {
		items = reallocarray(items, count ? count * 2 : 1, size);
		if (!items)
			return NULL;
		field_set_pointer(field, items);
	}
	memset(items + count * size, 0, size);
	field_set_count(field, count + 1);
	return items + count * size;
}

static inline void field_free_texts(void *field)
{
	char **texts = field_pointer(field);

	for (size_t i = 0; i < field_count(field); i++)
		free(texts[i]);
	free(texts);
	field_set_pointer(field, NULL);
	field_set_count(field, 0);
}
