/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/response_head.h"

#include <errno.h>
#include <string.h>

#include "base/grammar.h"

enum { TEXT_KEPT_BYTES = 4096 };

void response_head_init(struct response_head *head)
{
	*head = (struct response_head){.content_length = -1};
	buf_init(&head->text, RESPONSE_HEAD_MAX_BYTES);
}

void response_head_done(struct response_head *head)
{
	buf_done(&head->text);
}

void response_head_clear(struct response_head *head)
{
	struct buf text = head->text;

	if (text.cap > TEXT_KEPT_BYTES)
		buf_done(&text);
	buf_clear(&text);
	*head = (struct response_head){.text = text, .content_length = -1};
}

/* "HTTP/1.1 200 OK": a new head begins, whatever came before. libcurl has judged the version. */
static enum response_head_step status_line(struct response_head *head, struct str line)
{
	uint64_t status;

	(void)str_split(&line, ' ');
	if (!line.p || str_to_u64(str_split(&line, ' '), &status) < 0 || status < 100 ||
	    status > 599)
		return RESPONSE_HEAD_MALFORMED;
	head->status = (unsigned)status;
	head->n_headers = 0;
	head->content_length = -1;
	head->chunked = false;
	buf_clear(&head->text);
	return RESPONSE_HEAD_MORE;
}

static enum response_head_step framing(struct response_head *head, struct str name,
				       struct str value)
{
	uint64_t length;

	if (str_eq_nocase(name, STR_LITERAL("content-length"))) {
		if (str_to_u64(value, &length) < 0 || length > INT64_MAX)
			return RESPONSE_HEAD_MALFORMED;
		if (head->content_length >= 0 && head->content_length != (int64_t)length)
			return RESPONSE_HEAD_MALFORMED;
		head->content_length = (int64_t)length;
	} else if (str_eq_nocase(name, STR_LITERAL("transfer-encoding"))) {
		/* libcurl would undo other codings; answers are never decompressed. */
		if (head->chunked || !str_eq_nocase(value, STR_LITERAL("chunked")))
			return RESPONSE_HEAD_MALFORMED;
		head->chunked = true;
	}
	return RESPONSE_HEAD_MORE;
}

static enum response_head_step keep(struct response_head *head, struct str s)
{
	int r = buf_append_str(&head->text, s);

	if (r == -EMSGSIZE)
		return RESPONSE_HEAD_TOO_LARGE;
	return r < 0 ? RESPONSE_HEAD_NO_MEMORY : RESPONSE_HEAD_MORE;
}

static enum response_head_step header_line(struct response_head *head, struct str line)
{
	struct str name = str_split(&line, ':'), value = str_trim(line);
	const struct str parts[] = {name, STR_LITERAL(":"), value, STR_LITERAL("\n")};
	enum response_head_step step;

	if (!line.p || !grammar_is_token(name) || !grammar_is_field_value(value))
		return RESPONSE_HEAD_MALFORMED;
	if (head->n_headers++ == RESPONSE_HEAD_MAX_HEADERS)
		return RESPONSE_HEAD_TOO_LARGE;
	step = framing(head, name, value);
	for (size_t i = 0; i < ARRAY_SIZE(parts) && step == RESPONSE_HEAD_MORE; i++)
		step = keep(head, parts[i]);
	return step;
}

static struct str without_end(struct str line)
{
	if (line.n > 0 && line.p[line.n - 1] == '\n')
		line.n--;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

enum response_head_step response_head_line(struct response_head *head, struct str line)
{
	head->seen_bytes += line.n;
	if (head->seen_bytes > RESPONSE_HEAD_MAX_BYTES)
		return RESPONSE_HEAD_TOO_LARGE;
	if (head->complete)
		return RESPONSE_HEAD_MORE;
	line = without_end(line);
	if (str_has_prefix(line, STR_LITERAL("HTTP/")))
		return status_line(head, line);
	if (head->status == 0)
		return RESPONSE_HEAD_MALFORMED;
	if (line.n == 0) {
		head->complete = head->status >= 200;
		return head->complete ? RESPONSE_HEAD_FINAL : RESPONSE_HEAD_MORE;
	}
	/* A folded line has no token before its colon, and RFC 9112 section 5.2 lets a gateway
	 * refuse the answer for it. */
	return header_line(head, line);
}

void response_head_get(const struct response_head *head,
		       struct header headers[RESPONSE_HEAD_MAX_HEADERS],
		       struct transfer_head *ret_head)
{
	struct str rest = buf_str(&head->text), type = {NULL, 0};
	size_t n = 0;

	for (; n < head->n_headers; n++) {
		struct str line = str_split(&rest, '\n');

		headers[n].name = str_split(&line, ':');
		headers[n].value = line;
		if (!type.p && str_eq_nocase(headers[n].name, STR_LITERAL("content-type")))
			type = line;
	}
	*ret_head = (struct transfer_head){
		.status = head->status,
		.content_type = type,
		.content_length = head->chunked ? -1 : head->content_length,
		.headers = headers,
		.n_headers = n,
	};
}
