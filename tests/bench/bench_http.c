/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool bench_line_take(struct bench_line *line, struct bench_slice *input,
		     struct bench_slice *ret_line)
{
	const char *end = memchr(input->text, '\n', input->n);
	size_t n = end == NULL ? input->n : (size_t)(end - input->text);
	struct bench_slice taken = {input->text, n};

	if (end == NULL || line->n > 0) {
		if (n > sizeof(line->text) - line->n)
			n = sizeof(line->text) - line->n;
		memcpy(line->text + line->n, input->text, n);
		line->n += n;
		taken = (struct bench_slice){line->text, line->n};
	}
	if (end == NULL) {
		*input = (struct bench_slice){input->text + input->n, 0};
		return false;
	}
	input->n -= (size_t)(end + 1 - input->text);
	input->text = end + 1;
	line->n = 0;
	if (taken.n > 0 && taken.text[taken.n - 1] == '\r')
		taken.n--;
	*ret_line = taken;
	return true;
}

void bench_http_reset(struct bench_http *http)
{
	http->state = BENCH_HTTP_START_LINE;
	http->chunked = http->closes = false;
	http->status = 0;
	http->n_left_bytes = 0;
	http->line.n = 0;
}

/* strtoull wants an end that a slice does not have. */
static uint64_t number_of(struct bench_slice text, int base)
{
	char digits[24];

	while (text.n > 0 && *text.text == ' ') {
		text.text++;
		text.n--;
	}
	if (text.n >= sizeof(digits))
		text.n = sizeof(digits) - 1;
	memcpy(digits, text.text, text.n);
	digits[text.n] = '\0';
	return strtoull(digits, NULL, base);
}

static enum bench_http_state take_start(struct bench_http *http, struct bench_slice line)
{
	static const char version[] = "HTTP/1.1 ";
	const char *end;
	size_t n;

	if (line.n > sizeof(version) && memcmp(line.text, version, sizeof(version) - 1) == 0) {
		http->status = (int)number_of((struct bench_slice){line.text + 9, 3}, 10);
		return BENCH_HTTP_HEADER;
	}
	end = memrchr(line.text, ' ', line.n);
	if (end == NULL)
		return BENCH_HTTP_BAD;
	n = (size_t)(end - line.text);
	if (n >= sizeof(http->target))
		n = sizeof(http->target) - 1;
	memcpy(http->target, line.text, n);
	http->target[n] = '\0';
	return BENCH_HTTP_HEADER;
}

static bool is_header(struct bench_slice line, const char *name, struct bench_slice *ret_value)
{
	size_t n = strlen(name);

	if (line.n <= n || line.text[n] != ':' || strncasecmp(line.text, name, n) != 0)
		return false;
	*ret_value = (struct bench_slice){line.text + n + 1, line.n - n - 1};
	return true;
}

static enum bench_http_state take_header(struct bench_http *http, struct bench_slice line)
{
	struct bench_slice value;

	if (line.n == 0) {
		if (http->status >= 100 && http->status < 200) {
			bench_http_reset(http);
			return BENCH_HTTP_START_LINE;
		}
		if (http->chunked)
			return BENCH_HTTP_CHUNK_SIZE;
		return http->n_left_bytes > 0 ? BENCH_HTTP_BODY : BENCH_HTTP_DONE;
	}
	if (is_header(line, "Content-Length", &value))
		http->n_left_bytes = number_of(value, 10);
	else if (is_header(line, "Transfer-Encoding", &value))
		http->chunked = true;
	else if (is_header(line, "Connection", &value))
		http->closes = memmem(value.text, value.n, "close", 5) != NULL;
	return BENCH_HTTP_HEADER;
}

static enum bench_http_state take_chunk_size(struct bench_http *http, struct bench_slice line)
{
	if (line.n == 0)
		return BENCH_HTTP_BAD;
	http->n_left_bytes = number_of(line, 16);
	return http->n_left_bytes > 0 ? BENCH_HTTP_CHUNK_DATA : BENCH_HTTP_TRAILER;
}

static enum bench_http_state take_line(struct bench_http *http, struct bench_slice line)
{
	switch (http->state) {
	case BENCH_HTTP_START_LINE:
		return take_start(http, line);
	case BENCH_HTTP_HEADER:
		return take_header(http, line);
	case BENCH_HTTP_CHUNK_SIZE:
		return take_chunk_size(http, line);
	case BENCH_HTTP_CHUNK_END:
		return line.n == 0 ? BENCH_HTTP_CHUNK_SIZE : BENCH_HTTP_BAD;
	case BENCH_HTTP_TRAILER:
		return line.n == 0 ? BENCH_HTTP_DONE : BENCH_HTTP_TRAILER;
	default:
		return BENCH_HTTP_BAD;
	}
}

/* The next piece of the body that lies in the input, at most to the end of the body or chunk. */
static struct bench_slice take_body(struct bench_http *http, struct bench_slice *input)
{
	struct bench_slice piece = *input;

	if (piece.n > http->n_left_bytes)
		piece.n = (size_t)http->n_left_bytes;
	http->n_left_bytes -= piece.n;
	input->text += piece.n;
	input->n -= piece.n;
	if (http->n_left_bytes == 0)
		http->state = http->chunked ? BENCH_HTTP_CHUNK_END : BENCH_HTTP_DONE;
	return piece;
}

void bench_http_feed(struct bench_http *http, struct bench_slice *input, bench_http_body_fn *body,
		     void *context)
{
	struct bench_slice line;

	while (input->n > 0 && http->state != BENCH_HTTP_DONE && http->state != BENCH_HTTP_BAD) {
		if (http->state == BENCH_HTTP_BODY || http->state == BENCH_HTTP_CHUNK_DATA)
			body(context, take_body(http, input));
		else if (bench_line_take(&http->line, input, &line))
			http->state = take_line(http, line);
	}
}
