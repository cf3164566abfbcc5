/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict RFC 8259 scanner: judges a whole document and, in the same pass, reports the values at
 * the paths the caller routes on. It never changes, copies or allocates. Iterative; depth at most
 * JSONSCAN_MAX_DEPTH. Beyond the grammar it refuses invalid UTF-8, lone surrogate escapes and, in
 * the top-level object, members that are looked for and that readers could take for different ones.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

#define JSONSCAN_MAX_DEPTH    256
#define JSONSCAN_MAX_PATHS    32
#define JSONSCAN_MAX_SEGMENTS 6

/* Not `json_type`: json-c has that tag. */
enum json_value_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

/* A value as it stands in the text: the brackets and quotes included. */
struct json_value {
	enum json_value_type type;
	struct str text;
};

/* Member names from the root, each of at most 128 bytes; "[]" is any element of an array. NULL
 * ends it; no segment at all is the document itself. */
struct json_path {
	const char *segments[JSONSCAN_MAX_SEGMENTS + 1];
};

enum json_error {
	JSON_OK,
	JSON_SYNTAX,
	JSON_TOO_DEEP,
	JSON_BAD_UTF8,
	JSON_BAD_ESCAPE,
	JSON_TRAILING_BYTES,
	/* At the top, of the first name of a path: */
	JSON_NUL_IN_NAME,    /* it stands there with U+0000 behind it, where C texts end */
	JSON_DUPLICATE_NAME, /* it comes twice */
	JSON_NAME_IN_CASE,   /* it comes in another case: Go's readers do not mind that */
};

struct jsonscan {
	const struct json_path *paths; /* at most JSONSCAN_MAX_PATHS */
	size_t n_paths;
	/* Called once the value is complete, in the order in which the values end. */
	void (*found)(void *context, size_t path_index, struct json_value value);
	void *context;
	/* A first name that some reader may take for that of a path, or for another one, is an
	 * error. */
	bool judges_names;
	/* Out: where the first error stands, in bytes from the start; for JSON_NUL_IN_NAME,
	 * JSON_DUPLICATE_NAME and JSON_NAME_IN_CASE a path whose first name it is about. */
	size_t error_offset, error_path;
	bool has_nul_name; /* out: U+0000 stands in some name, at any depth */
};

/* Values may have been reported before an error is met: trust them only after JSON_OK. */
enum json_error jsonscan_run(struct jsonscan *scan, struct str text) MUST_CHECK;
/* A few words for a person, such as "bytes after the end of the document". */
const char *json_error_text(enum json_error error);

/* The decoded characters of a JSON_STRING value, at most `size` bytes without a NUL behind them
 * (they may contain U+0000). -EMSGSIZE when they do not fit, -EINVAL when it is no string; then
 * what `out` holds is unspecified. */
int json_string_decode(struct json_value value, char *out, size_t size, size_t *ret_len) MUST_CHECK;
/* A JSON_NUMBER that is an integer in 0..2^53; -EINVAL otherwise (fractions and exponents that
 * come to an integer, such as 1e3, are not accepted). */
int json_number_u53(struct json_value value, uint64_t *ret_value) MUST_CHECK;
