/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The member names of one object, to find one that comes twice. Embedded in the scanner; large, so
 * `n` = 0 is all that sets it up.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/hash.h"
#include "base/jsonscan.h"
#include "base/str.h"

enum {
	JSONNAMES_FEW = 32,
	JSONNAMES_SLOTS = 2 * JSONSCAN_MAX_NAMES, /* a power of two */
};

struct jsonnames {
	size_t n;
	/* hashes: the first few in order, all of them spread from one more on */
	uint64_t few[JSONNAMES_FEW];
	struct hash_seed seed;
	uint64_t spread[JSONNAMES_SLOTS];
};

/* A name whose first block is decoded, and the rest of it as it stands in the text. JSON_OK,
 * JSON_DUPLICATE_NAME or JSON_TOO_MANY_NAMES. */
enum json_error jsonnames_add(struct jsonnames *names, struct str first,
			      struct str rest) MUST_CHECK;
