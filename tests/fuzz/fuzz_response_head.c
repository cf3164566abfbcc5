/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the head of a backend's answer, line by line as libcurl hands it over. What is taken
 * has no byte with which a client could be told another answer, and is what a head that stands
 * alone would have been: interim answers, and the answer before on the same connection, leave
 * nothing behind.
 */
#include <stdint.h>
#include <stdlib.h>

#include "upstream/response_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool is_tchar(unsigned char c)
{
	return c > 0x20 && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static bool is_field_byte(unsigned char c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static struct str take_line(struct str *rest)
{
	const char *end = memchr(rest->p, '\n', rest->n);
	struct str line = {rest->p, end ? (size_t)(end + 1 - rest->p) : rest->n};

	*rest = (struct str){rest->p + line.n, rest->n - line.n};
	return line;
}

/* How the head ends, and in *ret_last where the final one begins. */
static enum response_head_step feed(struct response_head *head, struct str input,
				    struct str *ret_last)
{
	enum response_head_step step = RESPONSE_HEAD_MORE;

	*ret_last = input;
	while (input.n > 0 && step == RESPONSE_HEAD_MORE) {
		struct str at = input, line = take_line(&input);

		if (str_has_prefix(line, STR_LITERAL("HTTP/")))
			*ret_last = at;
		step = response_head_line(head, line);
	}
	return step;
}

static void check_fields(const struct transfer_head *got)
{
	require(got->status >= 200 && got->status <= 599 && got->content_length >= -1);
	require(got->n_headers <= RESPONSE_HEAD_MAX_HEADERS);
	for (size_t i = 0; i < got->n_headers; i++) {
		struct str name = got->headers[i].name, value = got->headers[i].value;

		require(name.n > 0);
		for (size_t at = 0; at < name.n; at++)
			require(is_tchar((unsigned char)name.p[at]));
		for (size_t at = 0; at < value.n; at++)
			require(is_field_byte((unsigned char)value.p[at]));
	}
}

static void require_same(const struct transfer_head *a, const struct transfer_head *b)
{
	require(a->status == b->status && a->content_length == b->content_length);
	require(a->n_headers == b->n_headers && str_eq(a->content_type, b->content_type));
	for (size_t i = 0; i < a->n_headers; i++)
		require(str_eq(a->headers[i].name, b->headers[i].name) &&
			str_eq(a->headers[i].value, b->headers[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header headers[RESPONSE_HEAD_MAX_HEADERS], alone_headers[RESPONSE_HEAD_MAX_HEADERS];
	struct str input = {(const char *)data, size}, last, none;
	struct transfer_head got, alone_got;
	struct response_head head, alone;
	enum response_head_step step;

	response_head_init(&head);
	response_head_init(&alone);
	step = feed(&head, input, &last);
	if (step == RESPONSE_HEAD_FINAL) {
		response_head_get(&head, headers, &got);
		check_fields(&got);
		require(feed(&alone, last, &none) == RESPONSE_HEAD_FINAL);
		response_head_get(&alone, alone_headers, &alone_got);
		require_same(&got, &alone_got);
	}
	response_head_clear(&head);
	require(feed(&head, input, &last) == step);
	response_head_done(&head);
	response_head_done(&alone);
	return 0;
}
