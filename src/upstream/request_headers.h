/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header lines of one request as libcurl takes them, and its URL: all in one block of memory,
 * which is reused by the next request. It may hold a key, so it is wiped after each. Embedded in
 * its owner; loop's thread.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "upstream/transfer.h"

struct curl_slist;

struct request_headers {
	struct curl_slist *first; /* NULL before the first build */
	char *url;
	void *block;
	size_t block_bytes;
};

/* -ENOMEM. Headers that a field line cannot carry (control bytes) are left out. */
int request_headers_build(struct request_headers *headers,
			  const struct transfer_request *request) MUST_CHECK;
/* Wipes it and keeps a block of usual size. */
void request_headers_clear(struct request_headers *headers);
void request_headers_done(struct request_headers *headers);
