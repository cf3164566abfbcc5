/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/request_headers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/grammar.h"

enum { BLOCK_KEPT_BYTES = 4096, N_CONSTANT_LINES = 2, N_OWN_LINES = 4 };

struct line {
	struct str name, separator, value;
};

static struct line line_of(struct str name, struct str value)
{
	/* "Name:" would tell libcurl not to send it, "Name;" sends it empty. */
	return (struct line){name, value.n ? STR_LITERAL(": ") : STR_LITERAL(";"), value};
}

/* Line `i` of the request, the lines of our own first; false behind the last. A line without a name
 * is none. */
static bool line_at(const struct transfer_request *request, size_t i, struct line *ret_line)
{
	static const struct line none;
	const char *authorization = request->target->authorization;

	if (i == 0)
		*ret_line = line_of(STR_LITERAL("Accept-Encoding"), STR_LITERAL("identity"));
	else if (i == 1) /* libcurl would wait for 100 Continue before a body over 1 MB */
		*ret_line = (struct line){STR_LITERAL("Expect"), STR_LITERAL(":"), {NULL, 0}};
	else if (i == 2 && strcmp(request->method, "POST") == 0)
		*ret_line = line_of(STR_LITERAL("Content-Type"),
				    request->content_type.n ? request->content_type
							    : STR_LITERAL("application/json"));
	else if (i == 3 && authorization)
		*ret_line = line_of(STR_LITERAL("Authorization"), str_of(authorization));
	else if (i < N_OWN_LINES)
		*ret_line = none;
	else if (i - N_OWN_LINES < request->n_headers)
		*ret_line = line_of(request->headers[i - N_OWN_LINES].name,
				    request->headers[i - N_OWN_LINES].value);
	else
		return false;
	return true;
}

static size_t line_bytes(const struct line *line)
{
	return line->name.n + line->separator.n + line->value.n + 1;
}

static bool is_sendable(const struct line *line, size_t i)
{
	if (i < N_CONSTANT_LINES)
		return line->name.n > 0;
	return grammar_is_token(line->name) && grammar_is_field_value(line->value);
}

static char *put(char *at, struct str s)
{
	if (s.n > 0)
		memcpy(at, s.p, s.n);
	return at + s.n;
}

static int make_room(struct request_headers *headers, size_t bytes)
{
	void *block;

	if (bytes <= headers->block_bytes)
		return 0;
	block = malloc(bytes);
	if (!block)
		return -ENOMEM;
	request_headers_done(headers);
	headers->block = block;
	headers->block_bytes = bytes;
	return 0;
}

static void fill(struct request_headers *headers, const struct transfer_request *request,
		 size_t n_lines)
{
	struct curl_slist *node = headers->block, *last = NULL;
	char *text = (char *)(node + n_lines);
	struct line line;

	headers->first = NULL;
	for (size_t i = 0; line_at(request, i, &line); i++) {
		if (!is_sendable(&line, i))
			continue;
		*node = (struct curl_slist){.data = text};
		text = put(put(put(text, line.name), line.separator), line.value);
		*text++ = '\0';
		if (last)
			last->next = node;
		else
			headers->first = node;
		last = node++;
	}
	headers->url = text;
	text = put(put(text, str_of(request->target->url)), str_of(request->path));
	*text = '\0';
}

int request_headers_build(struct request_headers *headers, const struct transfer_request *request)
{
	size_t bytes = strlen(request->target->url) + strlen(request->path) + 1;
	size_t n_lines = 0;
	struct line line;
	int r;

	for (; line_at(request, n_lines, &line); n_lines++)
		bytes += line_bytes(&line) + sizeof(struct curl_slist);
	r = make_room(headers, bytes);
	if (r < 0)
		return r;
	fill(headers, request, n_lines);
	return 0;
}

void request_headers_clear(struct request_headers *headers)
{
	if (headers->block_bytes > BLOCK_KEPT_BYTES) {
		request_headers_done(headers);
		return;
	}
	if (headers->block)
		explicit_bzero(headers->block, headers->block_bytes);
	headers->first = NULL;
	headers->url = NULL;
}

void request_headers_done(struct request_headers *headers)
{
	if (headers->block)
		explicit_bzero(headers->block, headers->block_bytes);
	free(headers->block);
	*headers = (struct request_headers){0};
}
