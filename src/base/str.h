/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slices of text that somebody else owns, and strict parsing of the scalars
 * found in them. A slice is not NUL-terminated and may contain any byte.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

struct str {
	const char *p;
	size_t n;
};

#define STR_LITERAL(text) ((struct str){(text), sizeof(text) - 1})
/* The same as an initialiser, for static tables. */
#define STR_INIT(text)                   \
	{                                \
		(text), sizeof(text) - 1 \
	}

/* The whole of a C string; NULL gives the empty slice. */
static inline struct str str_of(const char *text)
{
	return (struct str){text, text ? strlen(text) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* As strcmp() orders texts without a NUL. */
int str_compare(struct str a, struct str b);
/* ASCII case-insensitive equality, as HTTP names and tokens compare. */
bool str_eq_nocase(struct str a, struct str b);
/* Is it this ASCII text in lower case, once its case is folded as Unicode does? There a long s and
 * the Kelvin sign are letters of ASCII, too. */
bool str_folds_to(struct str s, struct str lower);
bool str_has_prefix(struct str s, struct str prefix);
/* Without leading and trailing SP and HTAB. */
struct str str_trim(struct str s);
/* Cuts at the first `separator`: returns what stood before it and leaves the rest in `*rest`
 * (p NULL when there was no further separator). */
struct str str_split(struct str *rest, char separator);
/* Is it, in any case, one of the elements between commas (RFC 9110, section 5.6.1)? */
bool str_list_has(struct str list, struct str element);

/* With each %XX decoded once, any byte; a % that begins none stays. At most `size` bytes, no NUL.
 * -EMSGSIZE when it does not fit. */
int str_percent_decode(struct str s, char *out, size_t size, size_t *ret_n) MUST_CHECK;

/* Decimal digits only, no sign, no blanks. -EINVAL, -ERANGE. */
int str_to_u64(struct str s, uint64_t *ret_value) MUST_CHECK;

/* A heap copy with a NUL behind it; NULL for no memory. */
char *str_dup(struct str s) MUST_CHECK;

/* Well-formed UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_is_valid(struct str s);
/* The length of the well-formed character that `s` begins with; 0 when there is none. */
size_t utf8_first(struct str s);
/* The length of the longest prefix of `s` of at most `max` bytes that ends on a character boundary.
 */
size_t utf8_cut(struct str s, size_t max);
