/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/completion_stream.h"

#include "tap.h"

#define CHUNK(text) "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"

static const char whole[] =
	": a comment\r\n\r\n"
	"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n" CHUNK(
		"Hel") CHUNK("lo") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,"
				   "\"completion_tokens\":2}}\n\n"
				   "data: [DONE]\n\n";

/* In pieces of `size` bytes, one each nanosecond. */
static void take(struct completion_stream *stream, const char *bytes, size_t n, size_t size)
{
	completion_stream_init(stream, 0);
	for (size_t at = 0; at < n; at += size)
		completion_stream_take(
			stream, (struct str){bytes + at, n - at < size ? n - at : size}, at + 1);
}

static void test_whole(void)
{
	for (size_t size = 1; size < sizeof(whole); size++) {
		struct completion_stream stream;

		take(&stream, whole, sizeof(whole) - 1, size);
		ok(stream.is_done && !stream.is_odd && !stream.error[0] &&
			   str_eq(buf_str(&stream.text), STR_LITERAL("Hello")) &&
			   stream.prompt_tokens == 3 && stream.completion_tokens == 2 &&
			   stream.first_token_ns > 0,
		   "in pieces of %zu bytes", size);
		completion_stream_done(&stream);
	}
}

static void test_first_token(void)
{
	struct completion_stream stream;

	completion_stream_init(&stream, 100);
	completion_stream_take(&stream, STR_LITERAL(CHUNK("")), 150);
	is_u64(stream.first_token_ns, 0, "nothing was said yet");
	completion_stream_take(&stream, STR_LITERAL(CHUNK("a")), 160);
	completion_stream_take(&stream, STR_LITERAL(CHUNK("b")), 170);
	is_u64(stream.first_token_ns, 60, "since the beginning, and only the first");
	ok(!stream.is_done, "it is not over");
	completion_stream_done(&stream);
}

static void test_bad(void)
{
	static char text[2 * COMPLETION_LINE_MAX];
	struct completion_stream stream;
	static const char error[] = "data: {\"error\":{\"message\":\"no luck\"}}\n\n";
	static const char odd[] =
		"data: {\"error\":1}\n\ndata: nonsense\n\ndata:\n\nevent: x\n\n{\n";

	take(&stream, error, sizeof(error) - 1, 7);
	is_text(stream.error, "no luck", "an error event");
	completion_stream_done(&stream);
	take(&stream, odd, sizeof(odd) - 1, 7);
	ok(stream.error[0] && !stream.is_done && !stream.is_odd, "events that make no sense");
	completion_stream_done(&stream);
	memset(text, 'x', sizeof(text));
	take(&stream, text, sizeof(text), 4096);
	ok(stream.is_odd, "a line without end");
	completion_stream_done(&stream);
	completion_stream_init(&stream, 0);
	for (int i = 0; i < 2000; i++)
		completion_stream_take(&stream, STR_LITERAL(CHUNK("0123456789")), 1);
	ok(!stream.is_odd && stream.text.len > 1000 && stream.text.len <= stream.text.max,
	   "of a long answer the beginning is kept");
	completion_stream_done(&stream);
}

int main(void)
{
	test_whole();
	test_first_token();
	test_bad();
	return tap_done();
}
