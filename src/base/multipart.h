/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict scanner of multipart/form-data (RFC 7578; RFC 2046 section 5.1) that takes a body piece
 * by piece, judges it and finds the value of one field. Beyond the grammar it refuses what parsers
 * read differently: line ends that are not CRLF around a delimiter, a preamble, folded or doubled
 * headers, names with escapes, the field twice. It holds the head of one part and the value.
 * Embedded in its owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"

#define MULTIPART_HEAD_MAX_BYTES     4096 /* of one part */
#define MULTIPART_MAX_PARTS          256
#define MULTIPART_BOUNDARY_MAX_BYTES 70

enum multipart_error {
	MULTIPART_OK,
	MULTIPART_NO_BOUNDARY,
	MULTIPART_SYNTAX,
	MULTIPART_BAD_LINE_END,
	MULTIPART_BAD_HEAD,
	MULTIPART_HEAD_TOO_LARGE,
	MULTIPART_TOO_MANY_PARTS,
	MULTIPART_TWICE,     /* the field, in whatever case */
	MULTIPART_NOT_PLAIN, /* the field is a file, or encoded */
	MULTIPART_TOO_LONG,  /* the field's value */
	MULTIPART_UNFINISHED,
	MULTIPART_NO_MEMORY,
};

enum multipart_state {
	MULTIPART_IN_START,
	MULTIPART_IN_TAIL, /* behind a delimiter, before its line's end */
	MULTIPART_IN_HEAD,
	MULTIPART_IN_CONTENT,
	MULTIPART_IN_END, /* behind the last delimiter */
};

struct multipart {
	const char *field;                                /* its name */
	char delimiter[2 + MULTIPART_BOUNDARY_MAX_BYTES]; /* the dashes included */
	size_t delimiter_bytes;
	enum multipart_state state;
	char tail;          /* byte of a delimiter's line behind it; NUL none yet */
	char last;          /* byte of the content */
	bool at_line_start; /* of the content */
	bool behind_crlf;   /* that line */
	size_t matched;     /* bytes of the delimiter at the end of what came */
	unsigned n_parts;
	uint64_t offset; /* of the next byte in the body */
	bool seen;       /* the field's name, in whatever case */
	bool in_field;   /* the part under way is the field */
	struct buf head; /* of the part under way */

	/* Out: trust them only while there is no error. */
	bool found;
	struct buf value;
	uint64_t value_offset; /* in the body */
};

/* `field` is static; its value has at most `max_bytes`. MULTIPART_OK or MULTIPART_NO_BOUNDARY; done
 * with multipart_done() either way. */
enum multipart_error multipart_init(struct multipart *m, struct str content_type, const char *field,
				    size_t max_bytes) MUST_CHECK;
void multipart_done(struct multipart *m);
/* After an error nothing more may be fed. */
enum multipart_error multipart_feed(struct multipart *m, struct str piece) MUST_CHECK;
/* The body is over: MULTIPART_OK or MULTIPART_UNFINISHED. */
enum multipart_error multipart_end(const struct multipart *m) MUST_CHECK;
/* A few words for a person. */
const char *multipart_error_text(enum multipart_error error);
