/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects the head of an answer line by line, as libcurl hands it over: interim answers (1xx) are
 * forgotten, trailers ignored, and what would let two readers disagree about the answer's framing
 * is refused (RFC 9112 sections 5 and 6). Embedded in its owner; loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "upstream/transfer.h"

/* Interim heads and trailers count, too. */
#define RESPONSE_HEAD_MAX_BYTES   65536
#define RESPONSE_HEAD_MAX_HEADERS 128

struct response_head {
	struct buf text; /* "name:value\n" of each header */
	size_t seen_bytes, n_headers;
	unsigned status;
	int64_t content_length; /* -1 unknown */
	bool chunked;
	bool complete; /* the final head is */
};

enum response_head_step {
	RESPONSE_HEAD_MORE,
	RESPONSE_HEAD_FINAL, /* this line ended the final head */
	RESPONSE_HEAD_MALFORMED,
	RESPONSE_HEAD_TOO_LARGE,
	RESPONSE_HEAD_NO_MEMORY
};

void response_head_init(struct response_head *head);
void response_head_done(struct response_head *head);
/* Makes it ready for another answer; gives back what an unusually large head took. */
void response_head_clear(struct response_head *head);
/* One line, its end included. */
enum response_head_step response_head_line(struct response_head *head, struct str line) MUST_CHECK;
/* The complete head; the slices in `ret_head` and `headers` live as long as `head` is not
 * cleared. */
void response_head_get(const struct response_head *head,
		       struct header headers[RESPONSE_HEAD_MAX_HEADERS],
		       struct transfer_head *ret_head);
