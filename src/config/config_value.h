/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value as it was written, wherever it was written, before an option's type makes something of
 * it. It borrows its text and elements.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

enum value_kind {
	VALUE_TEXT, /* from the environment or schema.def: has no type of its own */
	VALUE_STRING,
	VALUE_INTEGER,
	VALUE_REAL,
	VALUE_BOOL,
	VALUE_LIST,
	VALUE_GROUP
};

struct config_value {
	enum value_kind kind;
	struct config_origin origin;
	union {
		const char *text; /* TEXT, STRING */
		long long integer;
		double real;
		bool boolean;
		struct {
			const struct config_value *elements;
			size_t n_elements;
		};
	};
};

/* "a string", "a whole number" and so on, for messages. */
const char *config_value_kind_name(enum value_kind kind);
/* The text of a TEXT or STRING, else NULL. */
const char *config_value_text(const struct config_value *value);

/* All: -EINVAL when the value is nothing of the sort, -ERANGE when it does not fit. */
int config_value_count(const struct config_value *value, uint64_t *ret_count) MUST_CHECK;
/* A whole number, or a text of digits and K, M or G. */
int config_value_size(const struct config_value *value, uint64_t *ret_bytes) MUST_CHECK;
/* Seconds with up to nine decimals. */
int config_value_duration(const struct config_value *value, uint64_t *ret_ns) MUST_CHECK;
/* A text of octal digits: libconfig has no octal numbers, so 0660 would be decimal. */
int config_value_octal(const struct config_value *value, uint64_t *ret_mode) MUST_CHECK;
/* In a text also 1 and 0. */
int config_value_bool(const struct config_value *value, bool *ret_bool) MUST_CHECK;
/* The position of a text among `words`, which are separated by blanks. */
int config_value_word(const struct config_value *value, const char *words,
		      unsigned *ret_position) MUST_CHECK;
