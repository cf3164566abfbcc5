/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between the quotes of JSON strings: judging it and decoding it. Internal to
 * jsonscan; the slices point into the caller's text and nothing is allocated.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/jsonscan.h"
#include "base/str.h"

#define JSONSTRING_BLOCK_BYTES 256
/* Strings of at most this many bytes surely fit into one block. */
#define JSONSTRING_SHORT_BYTES (JSONSTRING_BLOCK_BYTES - 4)

/* The inside of a string as it stands in the text. */
struct jsonstring {
	struct str text;
	bool has_escape;
	bool has_nul; /* as an escape; a bare one is refused */
};

/* `*p` stands on the opening quote and afterwards behind the closing one, or on the error. */
enum json_error jsonstring_scan(const char **p, const char *end,
				struct jsonstring *ret_string) MUST_CHECK;

/* How the inside of an accepted string begins, decoded: as many of its characters as surely fit
 * into `block`, all of them when there are at most JSONSTRING_SHORT_BYTES. */
struct str jsonstring_begin(struct str text, char block[JSONSTRING_BLOCK_BYTES]) MUST_CHECK;
