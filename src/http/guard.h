/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framing guard: judges a request's head before a byte of its body is looked at, because
 * libmicrohttpd 0.9.75 lets requests be smuggled (two lengths, length and chunked together, names
 * that are no tokens) and hides parts of a head (NULs, folded lines, what follows an empty name).
 * Against the hidden parts it accounts for every byte of the head. RFC 9112 sections 3, 5, 6.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum guard_verdict {
	GUARD_PASS,
	GUARD_BAD_FRAMING,        /* answer 400 and close */
	GUARD_UNSUPPORTED_CODING, /* answer 501 and close */
};

struct guard {
	bool http_1_0;
	bool bad;
	bool accounts; /* for every byte of the head */
	bool chunked, other_coding;
	unsigned n_hosts, n_lengths, n_codings;
	uint64_t content_length; /* bytes; valid after GUARD_PASS with n_lengths 1 */
	size_t accounted;        /* bytes of the head explained so far */
	const char *next_name;   /* where the next header's name must start, so that no two wrongs
				    make up for each other in the sum */
};

/* The request line as libmicrohttpd cut it. Any of it may hold hostile bytes. */
struct guard_line {
	struct str method, version; /* in the library's copy of the head */
	struct str target;          /* as received; a copy, as the library cuts it at the '?' */
	const char *target_at; /* where it stands in the library's copy; NULL where the library can
				  be trusted to hide nothing: no byte is accounted then */
};

void guard_begin(struct guard *guard, const struct guard_line *line);
/* Each header in the order received; name and value point into libmicrohttpd's copy of the head. */
void guard_header(struct guard *guard, struct str name, struct str value);
/* `head_bytes` is the head's real size; only looked at when bytes are accounted. */
enum guard_verdict guard_end(const struct guard *guard, size_t head_bytes);
