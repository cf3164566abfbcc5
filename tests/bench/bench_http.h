/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An incremental reader of HTTP/1.1 messages (RFC 9112) for the load generator and the mock
 * backend: it is fed bytes as they arrive and hands the body out in pieces, whatever its framing.
 * It speaks to programs under test, not to strangers: what it does not know it calls
 * BENCH_HTTP_BAD. Embedded in a connection, no allocation, single-threaded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_http_state {
	BENCH_HTTP_START_LINE,
	BENCH_HTTP_HEADER,
	BENCH_HTTP_BODY,
	BENCH_HTTP_CHUNK_SIZE,
	BENCH_HTTP_CHUNK_DATA,
	BENCH_HTTP_CHUNK_END,
	BENCH_HTTP_TRAILER,
	BENCH_HTTP_DONE,
	BENCH_HTTP_BAD,
};

/* Bytes borrowed from the caller's buffer. */
struct bench_slice {
	const char *text;
	size_t n;
};

/* The start of a line whose end has not come yet; what does not fit is dropped. */
struct bench_line {
	size_t n;
	char text[1024];
};

/* Cuts the next line off `input`: false if its end is not there yet (the input is then used up).
 * *ret_line lacks its line end and lives until the next call. */
bool bench_line_take(struct bench_line *line, struct bench_slice *input,
		     struct bench_slice *ret_line);

struct bench_http {
	enum bench_http_state state;
	bool chunked, closes;
	int status;            /* of an answer */
	char target[64];       /* method and target of a request: "POST /v1/models" */
	uint64_t n_left_bytes; /* of the body or of the chunk */
	struct bench_line line;
};

typedef void bench_http_body_fn(void *context, struct bench_slice piece);

/* For the first and for each further message of a connection. */
void bench_http_reset(struct bench_http *http);
/* Takes bytes off `input` until the message is done or bad, or the input is used up. */
void bench_http_feed(struct bench_http *http, struct bench_slice *input, bench_http_body_fn *body,
		     void *context);
