/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/demo_answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsonx.h"
#include "base/problem.h"
#include "upstream/demo_embedding.h"

#define GREETING "Echo: "

enum { STEP_ROLE, STEP_TEXT, STEP_FINISH, STEP_USAGE, STEP_DONE };

/* Of the text, which is the greeting and the prompt. */
static size_t text_bytes(const struct demo_answer *answer)
{
	return sizeof(GREETING) - 1 + answer->prompt.text_bytes;
}

static uint64_t tokens(size_t bytes)
{
	return (bytes + 3) / 4;
}

static int refuse(struct demo_answer *answer, struct buf *out, enum problem problem,
		  const char *param)
{
	answer->status = problem_row(problem)->status;
	answer->stream = false;
	return problem_write(out, problem, NULL, param, NULL);
}

/* nexusd serves the path: it is this model that does not. */
static int refuse_path(struct demo_answer *answer, struct buf *out)
{
	answer->status = problem_row(PROBLEM_NOT_FOUND)->status;
	return problem_write(out, PROBLEM_NOT_FOUND,
			     "The model demo only chats, completes and embeds.", NULL, NULL);
}

static void write_id(struct jsonw *w, const struct demo_answer *answer)
{
	char id[48];
	int n = snprintf(id, sizeof(id), "%s-demo-%" PRIu64, answer->chat ? "chatcmpl" : "cmpl",
			 answer->number);

	jsonw_string(w, "id", (struct str){id, (size_t)n});
}

static void begin_object(struct jsonw *w, const struct demo_answer *answer, struct buf *out)
{
	const char *object = answer->stream ? "chat.completion.chunk" : "chat.completion";

	jsonw_begin(w, out);
	jsonw_object(w, NULL);
	write_id(w, answer);
	jsonw_string(w, "object", str_of(answer->chat ? object : "text_completion"));
	jsonw_u64(w, "created", answer->created);
	jsonw_raw(w, "model", answer->prompt.model);
	jsonw_array(w, "choices");
}

static void end_choices(struct jsonw *w, const struct demo_answer *answer, bool with_usage)
{
	uint64_t prompt = tokens(answer->prompt.prompt_bytes);
	uint64_t completion = tokens(text_bytes(answer));

	jsonw_array_end(w);
	if (with_usage) {
		jsonw_object(w, "usage");
		jsonw_u64(w, "prompt_tokens", prompt);
		jsonw_u64(w, "completion_tokens", completion);
		jsonw_u64(w, "total_tokens", prompt + completion);
		jsonw_object_end(w);
	} else if (answer->prompt.include_usage) {
		jsonw_raw(w, "usage", STR_LITERAL("null"));
	}
	jsonw_object_end(w);
}

/* `text` p NULL leaves the text out, `finish` NULL writes null. */
static void write_choice(struct jsonw *w, const struct demo_answer *answer, struct str text,
			 const char *finish)
{
	jsonw_object(w, NULL);
	jsonw_u64(w, "index", 0);
	if (answer->chat) {
		jsonw_object(w, answer->stream ? "delta" : "message");
		if (!answer->stream || answer->step == STEP_ROLE)
			jsonw_string(w, "role", STR_LITERAL("assistant"));
		if (text.p)
			jsonw_string(w, "content", text);
		jsonw_object_end(w);
	} else {
		jsonw_string(w, "text", text.p ? text : STR_LITERAL(""));
	}
	jsonw_raw(w, "logprobs", STR_LITERAL("null"));
	jsonw_string(w, "finish_reason", str_of(finish));
	jsonw_object_end(w);
}

static void copy_text(const struct demo_answer *answer,
		      char text[sizeof(GREETING) + DEMO_PROMPT_MAX_BYTES])
{
	memcpy(text, GREETING, sizeof(GREETING) - 1);
	memcpy(text + sizeof(GREETING) - 1, answer->prompt.text, answer->prompt.text_bytes);
}

static int write_plain(const struct demo_answer *answer, struct buf *out)
{
	char text[sizeof(GREETING) + DEMO_PROMPT_MAX_BYTES];
	struct jsonw w;

	copy_text(answer, text);
	begin_object(&w, answer, out);
	write_choice(&w, answer, (struct str){text, text_bytes(answer)}, "stop");
	end_choices(&w, answer, true);
	return w.error;
}

static int begin_text(struct demo_answer *answer, const struct transfer_request *request,
		      struct buf *out)
{
	int r = demo_prompt_read(&answer->prompt, request->body, answer->chat);

	if (r == -EINVAL)
		return refuse(answer, out, PROBLEM_INVALID_JSON, NULL);
	if (r < 0)
		return r;
	if (answer->prompt.bad_field)
		return refuse(answer, out, PROBLEM_INVALID_FIELD, answer->prompt.bad_field);
	answer->stream = answer->prompt.stream;
	answer->step = answer->chat ? STEP_ROLE : STEP_TEXT;
	return answer->stream ? 0 : write_plain(answer, out);
}

static int begin_embedding(struct demo_answer *answer, const struct transfer_request *request,
			   struct buf *out)
{
	const char *bad_field;
	int r = demo_embedding_write(out, request->body, &bad_field);

	if (r == -EINVAL)
		return refuse(answer, out, PROBLEM_INVALID_JSON, NULL);
	if (r == -EBADMSG)
		return refuse(answer, out, PROBLEM_INVALID_FIELD, bad_field);
	return r;
}

int demo_answer_begin(struct demo_answer *answer, const struct transfer_request *request,
		      uint64_t number, struct buf *out)
{
	bool post = strcmp(request->method, "POST") == 0;
	int r;

	answer->status = 200;
	answer->stream = false;
	answer->number = number;
	answer->created = clock_realtime_msec() / 1000;
	answer->said = 0;
	answer->chat = strcmp(request->path, "/v1/chat/completions") == 0;
	if (post && (answer->chat || strcmp(request->path, "/v1/completions") == 0))
		r = begin_text(answer, request, out);
	else if (post && strcmp(request->path, "/v1/embeddings") == 0)
		r = begin_embedding(answer, request, out);
	else
		r = refuse_path(answer, out);
	answer->whole = !answer->stream;
	return r;
}

/* A word and the blanks behind it. */
static size_t word_bytes(struct str rest)
{
	size_t n = 0;

	while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != '\n')
		n++;
	while (n < rest.n && (rest.p[n] == ' ' || rest.p[n] == '\n'))
		n++;
	return n;
}

static void write_word(struct jsonw *w, struct demo_answer *answer)
{
	char text[sizeof(GREETING) + DEMO_PROMPT_MAX_BYTES];
	struct str word = {text + answer->said, text_bytes(answer) - answer->said};

	copy_text(answer, text);
	word.n = word_bytes(word);
	write_choice(w, answer, word, NULL);
	answer->said += word.n;
	if (answer->said == text_bytes(answer))
		answer->step = STEP_FINISH;
}

static void write_event(struct jsonw *w, struct demo_answer *answer)
{
	switch (answer->step) {
	case STEP_ROLE:
		write_choice(w, answer, STR_LITERAL(""), NULL);
		end_choices(w, answer, false);
		answer->step = STEP_TEXT;
		break;
	case STEP_TEXT:
		write_word(w, answer);
		end_choices(w, answer, false);
		break;
	case STEP_FINISH:
		write_choice(w, answer, (struct str){NULL, 0}, "stop");
		end_choices(w, answer, false);
		answer->step = answer->prompt.include_usage ? STEP_USAGE : STEP_DONE;
		break;
	default:
		end_choices(w, answer, true);
		answer->step = STEP_DONE;
	}
}

int demo_answer_next(struct demo_answer *answer, struct buf *out)
{
	struct jsonw w;
	int r;

	r = buf_append_str(out, STR_LITERAL("data: "));
	if (r < 0)
		return r;
	if (answer->step == STEP_DONE) {
		answer->whole = true;
		return buf_append_str(out, STR_LITERAL("[DONE]\n\n"));
	}
	begin_object(&w, answer, out);
	write_event(&w, answer);
	if (w.error < 0)
		return w.error;
	return buf_append_str(out, STR_LITERAL("\n\n"));
}
