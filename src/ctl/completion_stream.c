/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/completion_stream.h"

#include <stdio.h>

#include "base/i18n.h"
#include "base/jsonx.h"

#define TEXT_MAX_BYTES 4096

void completion_stream_init(struct completion_stream *stream, uint64_t now_ns)
{
	*stream = (struct completion_stream){.began_ns = now_ns};
	buf_init(&stream->line, COMPLETION_LINE_MAX);
	buf_init(&stream->text, TEXT_MAX_BYTES);
}

void completion_stream_done(struct completion_stream *stream)
{
	buf_done(&stream->line);
	buf_done(&stream->text);
}

static void take_usage(struct completion_stream *stream, struct json_object *usage)
{
	uint64_t n;

	if (jsonx_u64(jsonx_get(usage, "prompt_tokens"), &n) == 0)
		stream->prompt_tokens = n;
	if (jsonx_u64(jsonx_get(usage, "completion_tokens"), &n) == 0)
		stream->completion_tokens = n;
}

static void take_content(struct completion_stream *stream, struct str content, uint64_t now_ns)
{
	if (content.n == 0)
		return;
	if (stream->first_token_ns == 0)
		stream->first_token_ns = now_ns - stream->began_ns;
	/* Its beginning is enough to be shown. */
	(void)!buf_append(&stream->text, content.p,
			  utf8_cut(content, stream->text.max - stream->text.len));
}

static void take_event(struct completion_stream *stream, struct str data, uint64_t now_ns)
{
	struct json_object *event = jsonx_parse(data);
	struct json_object *error = jsonx_get(event, "error");
	struct json_object *choice = jsonx_at(jsonx_get(event, "choices"), 0);
	struct json_object *delta = jsonx_get(choice, "delta");
	struct str message = jsonx_string(jsonx_get(error, "message"));

	if (message.n == 0)
		message = str_of(_("an error without a message"));
	if (error)
		snprintf(stream->error, sizeof(stream->error), "%.*s", (int)message.n, message.p);
	take_content(stream, jsonx_string(jsonx_get(delta, "content")), now_ns);
	/* What a model thinks aloud are tokens, too. */
	take_content(stream, jsonx_string(jsonx_get(delta, "reasoning_content")), now_ns);
	take_usage(stream, jsonx_get(event, "usage"));
	jsonx_free(event);
}

static void take_line(struct completion_stream *stream, struct str line, uint64_t now_ns)
{
	struct str value = line, name = str_split(&value, ':');

	if (!str_eq(name, STR_LITERAL("data")) || !value.p)
		return;
	if (value.n && value.p[value.n - 1] == '\r')
		value.n--;
	value = str_trim(value);
	if (str_eq(value, STR_LITERAL("[DONE]")))
		stream->is_done = true;
	else
		take_event(stream, value, now_ns);
}

void completion_stream_take(struct completion_stream *stream, struct str bytes, uint64_t now_ns)
{
	while (bytes.n && !stream->is_odd) {
		struct str rest = bytes, piece = str_split(&rest, '\n');

		stream->is_odd = buf_append_str(&stream->line, piece) < 0;
		if (rest.p) {
			take_line(stream, buf_str(&stream->line), now_ns);
			buf_clear(&stream->line);
		}
		bytes = rest;
	}
}
