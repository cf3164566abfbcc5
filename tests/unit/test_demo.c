/* SPDX-License-Identifier: Apache-2.0 */
/* The in-process backend behind the transfer interface. */
#include "demo_run.h"
#include "tap.h"
#include "upstream/sse.h"

static struct loop *loop;
static struct client *client;

#define CHAT "/v1/chat/completions"

struct chat {
	const char *what, *path, *body, *content;
	uint64_t prompt_tokens, completion_tokens;
};

static const struct chat chats[] = {
	{"a message", CHAT,
	 "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"hello there\"}]}",
	 "Echo: hello there", 3, 5},
	{"the last user message", CHAT,
	 "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"one\"},"
	 "{\"content\":\"two\",\"role\":\"user\"},{\"role\":\"assistant\",\"content\":\"three\"}]}",
	 "Echo: two", 1, 3},
	{"the first text part", CHAT,
	 "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_"
	 "url\","
	 "\"image_url\":{\"url\":\"x\"}},{\"type\":\"text\",\"text\":\"look\"},"
	 "{\"type\":\"text\",\"text\":\"no\"}]}]}",
	 "Echo: look", 1, 3},
	{"escapes", CHAT,
	 "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"a\\n\\u00e9\\\"\"}]}",
	 "Echo: a\n\xc3\xa9\"", 2, 3},
	{"absent content", CHAT,
	 "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":null}]}", "Echo: ", 0,
	 2},
	{"no message", CHAT, "{\"model\":\"demo\",\"messages\":[]}", "Echo: ", 0, 2},
	{"a prompt", "/v1/completions", "{\"model\":\"demo\",\"prompt\":\"abc\"}", "Echo: abc", 1,
	 3},
	{"a list of prompts", "/v1/completions", "{\"prompt\":[\"abc\",\"d\"],\"model\":\"demo\"}",
	 "Echo: abc", 1, 3},
};

static void check_plain(const struct chat *c, const struct run *run)
{
	bool chat = strcmp(c->path, CHAT) == 0;
	struct json_object *answer = answer_of(run);

	ok(run->result.outcome == OUTCOME_OK && run->head_status == 200 && run->n_after == 0,
	   "%s: answered", c->what);
	is_int(run->content_length, (long long)run->body.len, "%s: content length", c->what);
	is_text(run->content_type, "application/json", "%s: JSON", c->what);
	is_text(text_at(answer, chat ? "choices.0.message.content" : "choices.0.text"), c->content,
		"%s: the text", c->what);
	is_text(text_at(answer, "object"), chat ? "chat.completion" : "text_completion",
		"%s: the object", c->what);
	is_text(text_at(answer, "model"), "demo", "%s: the model", c->what);
	is_text(text_at(answer, "choices.0.finish_reason"), "stop", "%s: finished", c->what);
	is_u64(number_at(answer, "usage.prompt_tokens"), c->prompt_tokens, "%s: prompt", c->what);
	is_u64(number_at(answer, "usage.completion_tokens"), c->completion_tokens, "%s: completion",
	       c->what);
	is_u64(number_at(answer, "usage.total_tokens"), c->prompt_tokens + c->completion_tokens,
	       "%s: total", c->what);
	jsonx_free(answer);
}

static void test_plain(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(chats); i++) {
		struct run run;

		post(&run, loop, client, chats[i].path, str_of(chats[i].body));
		loop_run(loop);
		check_plain(&chats[i], &run);
		run_finish(&run);
	}
}

struct seen {
	char text[256], finish[16], id[64];
	unsigned n_frames, n_words, n_usages;
	uint64_t completion_tokens;
	bool done, bad;
};

/* Appends, and cuts what does not fit. */
static void keep(char *to, size_t size, const char *text)
{
	size_t used = strlen(to), n = strlen(text);

	if (n > size - used - 1)
		n = size - used - 1;
	memcpy(to + used, text, n);
	to[used + n] = '\0';
}

static bool on_frame(void *context, const struct sse_frame *frame)
{
	struct seen *seen = context;
	struct json_object *chunk;
	const char *content;

	seen->n_frames++;
	seen->bad |= seen->done;
	if (str_eq(frame->data, STR_LITERAL("[DONE]"))) {
		seen->done = true;
		return true;
	}
	chunk = jsonx_parse(frame->data);
	seen->bad |= !chunk;
	if (!seen->id[0])
		keep(seen->id, sizeof(seen->id), text_at(chunk, "id"));
	seen->bad |= strcmp(seen->id, text_at(chunk, "id")) != 0;
	content = text_at(chunk, "choices.0.delta.content");
	if (strcmp(content, "(none)") == 0)
		content = text_at(chunk, "choices.0.text");
	if (strcmp(content, "(none)") != 0 && content[0]) {
		seen->n_words++;
		keep(seen->text, sizeof(seen->text), content);
	}
	if (strcmp(text_at(chunk, "choices.0.finish_reason"), "stop") == 0)
		keep(seen->finish, sizeof(seen->finish), "stop");
	if (number_at(chunk, "usage.completion_tokens") != UINT64_MAX) {
		seen->n_usages++;
		seen->completion_tokens = number_at(chunk, "usage.completion_tokens");
		seen->bad |= jsonx_length(jsonx_get(chunk, "choices")) != 0;
	}
	jsonx_free(chunk);
	return true;
}

static void pause_and_later(struct run *run, struct str data)
{
	if (buf_append_str(&run->body, data) < 0)
		abort();
	transfer_pause(run->transfer);
	run_later(run, 0);
}

static void resume_later(struct run *run)
{
	if (run->transfer)
		transfer_resume(run->transfer);
}

static void test_stream(void)
{
	static const struct {
		const char *what, *path, *body;
		unsigned n_usages, n_frames;
		bool paused;
	} rows[] = {
		{"chat", CHAT,
		 "{\"model\":\"demo\",\"stream\":true,\"messages\":[{\"role\":\"user\","
		 "\"content\":\"one two\\nthree\"}]}",
		 0, 7, false},
		{"chat with usage", CHAT,
		 "{\"model\":\"demo\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
		 "\"messages\":[{\"role\":\"user\",\"content\":\"one two\\nthree\"}]}",
		 1, 8, false},
		{"chat, paused at each piece", CHAT,
		 "{\"model\":\"demo\",\"stream\":true,\"messages\":[{\"role\":\"user\","
		 "\"content\":\"one two\\nthree\"}]}",
		 0, 7, true},
		{"completion", "/v1/completions",
		 "{\"model\":\"demo\",\"stream\":true,\"prompt\":\"one two\\nthree\"}", 0, 6,
		 false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct seen seen = {0};
		struct sse sse;
		struct run run;

		post(&run, loop, client, rows[i].path, str_of(rows[i].body));
		run.on_data = rows[i].paused ? pause_and_later : NULL;
		run.on_later = resume_later;
		loop_run(loop);
		is_text(run.content_type, "text/event-stream", "%s: a stream", rows[i].what);
		is_int(run.content_length, -1, "%s: of unknown length", rows[i].what);
		sse_init(&sse, 1 << 16);
		ok(sse_feed(&sse, buf_str(&run.body), on_frame, &seen) == 0 && !seen.bad &&
			   sse_rest(&sse).n == 0,
		   "%s: whole frames", rows[i].what);
		sse_done(&sse);
		is_u64(run.n_datas, seen.n_frames, "%s: a frame at a time", rows[i].what);
		is_u64(seen.n_frames, rows[i].n_frames, "%s: frames", rows[i].what);
		is_text(seen.text, "Echo: one two\nthree", "%s: the words together", rows[i].what);
		is_u64(seen.n_words, 4, "%s: word by word", rows[i].what);
		is_text(seen.finish, "stop", "%s: finish_reason", rows[i].what);
		ok(seen.done, "%s: [DONE]", rows[i].what);
		is_u64(seen.n_usages, rows[i].n_usages, "%s: usage if asked for", rows[i].what);
		if (seen.n_usages)
			is_u64(seen.completion_tokens, 5, "%s: tokens", rows[i].what);
		run_finish(&run);
	}
}

static void test_refusals(void)
{
	static const struct {
		const char *what, *path, *body, *code;
		unsigned status;
	} rows[] = {
		{"unknown path", "/v1/audio/speech", "{\"model\":\"demo\"}", "not_found", 404},
		{"no JSON", CHAT, "{", "invalid_json", 400},
		{"no model", CHAT, "{\"messages\":[]}", "invalid_field", 400},
		{"no messages", CHAT, "{\"model\":\"demo\"}", "invalid_field", 400},
		{"no prompt", "/v1/completions", "{\"model\":\"demo\"}", "invalid_field", 400},
		{"no input", "/v1/embeddings", "{\"model\":\"demo\"}", "invalid_field", 400},
		{"empty input", "/v1/embeddings", "{\"model\":\"demo\",\"input\":[]}",
		 "invalid_field", 400},
		{"empty tokens", "/v1/embeddings", "{\"model\":\"demo\",\"input\":[[]]}",
		 "invalid_field", 400},
		{"mixed input", "/v1/embeddings", "{\"model\":\"demo\",\"input\":[\"a\",1]}",
		 "invalid_field", 400},
		{"mixed tokens", "/v1/embeddings", "{\"model\":\"demo\",\"input\":[1,[2]]}",
		 "invalid_field", 400},
		{"input of objects", "/v1/embeddings", "{\"model\":\"demo\",\"input\":[{}]}",
		 "invalid_field", 400},
		{"unknown format", "/v1/embeddings",
		 "{\"model\":\"demo\",\"input\":\"a\",\"encoding_format\":\"int8\"}",
		 "invalid_field", 400},
		{"no JSON for embeddings", "/v1/embeddings", "[1,", "invalid_json", 400},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json_object *answer;
		struct run run;

		post(&run, loop, client, rows[i].path, str_of(rows[i].body));
		loop_run(loop);
		answer = answer_of(&run);
		ok(run.result.outcome == OUTCOME_OK && run.head_status == rows[i].status, "%s: %u",
		   rows[i].what, rows[i].status);
		if (rows[i].status == 404)
			is_text(text_at(answer, "error.message"),
				"The model demo only chats, completes and embeds.", "why");
		is_text(text_at(answer, "error.code"), rows[i].code, "%s: code", rows[i].what);
		jsonx_free(answer);
		run_finish(&run);
	}
}

static void test_long_prompt(void)
{
	struct json_object *answer;
	struct buf body;
	struct run run;
	int r;

	buf_init(&body, 1 << 16);
	r = buf_append_str(&body, STR_LITERAL("{\"model\":\"demo\",\"prompt\":\"x"));
	for (size_t i = 0; i < 3000; i++)
		r |= buf_append_str(&body, STR_LITERAL("\xc3\xa9"));
	r |= buf_append_str(&body, STR_LITERAL("\"}"));
	post(&run, loop, client, "/v1/completions", buf_str(&body));
	loop_run(loop);
	answer = answer_of(&run);
	is_u64(strlen(text_at(answer, "choices.0.text")), 6 + 1999,
	       "a long prompt is cut between characters");
	is_u64(number_at(answer, "usage.prompt_tokens"), (6001 + 3) / 4, "and counted whole");
	ok(r == 0, "the prompt was made");
	jsonx_free(answer);
	run_finish(&run);
	buf_done(&body);
}

static void test_cancel(void)
{
	static const char body[] = "{\"model\":\"demo\",\"stream\":true,\"prompt\":\"a b c d\"}";
	static const enum run_cancel whens[] = {RUN_CANCEL_IN_HEAD, RUN_CANCEL_IN_DATA};
	struct run run;

	for (size_t i = 0; i < ARRAY_SIZE(whens); i++) {
		post(&run, loop, client, "/v1/completions", str_of(body));
		run.cancel = whens[i];
		loop_run(loop);
		ok(run.n_heads == 1 && run.n_datas == i && run.n_dones == 0,
		   "cancelled in %s: no further event", i ? "on_data" : "on_head");
		run_finish(&run);
	}
	post(&run, loop, client, "/v1/completions", str_of(body));
	run.on_data = pause_and_later;
	run.on_later = run_cancel;
	loop_run(loop);
	ok(run.n_datas == 1 && run.n_dones == 0, "cancelled while paused: no further event");
	run_finish(&run);
	post(&run, loop, client, "/v1/completions", str_of(body));
	run_cancel(&run);
	loop_run(loop);
	ok(run.n_heads + run.n_dones == 0, "cancelled before it began: no event");
	run_finish(&run);
}

int main(void)
{
	run_world(&loop, &client);
	test_plain();
	test_stream();
	test_refusals();
	test_long_prompt();
	test_cancel();
	run_world_end(loop, client);
	return tap_done();
}
