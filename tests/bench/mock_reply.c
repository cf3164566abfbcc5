/* SPDX-License-Identifier: Apache-2.0 */
#include "mock_reply.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define JSON_HEAD(status, n_body)            \
	"HTTP/1.1 " status "\r\n"            \
	"Content-Type: application/json\r\n" \
	"Content-Length: " n_body "\r\n\r\n"

#define COMPLETION                                                                                 \
	"{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,"        \
	"\"model\":\"bench\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","       \
	"\"content\":\"A gateway takes a request, finds a backend that serves the model, passes "  \
	"the "                                                                                     \
	"bytes on in both directions and keeps count of what it did. The interesting part is "     \
	"what it "                                                                                 \
	"does when something goes wrong: a backend that is down, a client that leaves, an answer " \
	"that "                                                                                    \
	"stops half way. The rest should cost next to nothing, and a bench is how one finds out "  \
	"whether it does.\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],"                      \
	"\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":80,\"total_tokens\":200},"         \
	"\"system_fingerprint\":\"fp_bench\"}"
#define MODELS                                                                   \
	"{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\"," \
	"\"created\":1700000000,\"owned_by\":\"bench\"}]}"
#define NOT_FOUND                                                                      \
	"{\"error\":{\"message\":\"no such path\",\"type\":\"invalid_request_error\"," \
	"\"param\":null,\"code\":\"not_found\"}}"

#define FRAME_START                                                           \
	"data: {\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion.chunk\"," \
	"\"created\":1700000000,\"model\":\"bench\","

struct fixed_reply {
	size_t n;
	char text[MOCK_REPLY_MAX];
};

static struct mock_reply fixed(struct fixed_reply *reply, const char *status, const char *body)
{
	if (reply->n == 0) {
		int n = snprintf(reply->text, sizeof(reply->text), JSON_HEAD("%s", "%zu") "%s",
				 status, strlen(body), body);

		assert(n > 0 && (size_t)n < sizeof(reply->text));
		reply->n = (size_t)n;
	}
	return (struct mock_reply){reply->text, reply->n};
}

struct mock_reply mock_reply_completion(void)
{
	static struct fixed_reply reply;

	return fixed(&reply, "200 OK", COMPLETION);
}

struct mock_reply mock_reply_models(void)
{
	static struct fixed_reply reply;

	return fixed(&reply, "200 OK", MODELS);
}

struct mock_reply mock_reply_not_found(void)
{
	static struct fixed_reply reply;

	return fixed(&reply, "404 Not Found", NOT_FOUND);
}

size_t mock_reply_stream_head(char *to)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n"
				   "Content-Type: text/event-stream\r\n"
				   "Cache-Control: no-cache\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";

	memcpy(to, head, sizeof(head) - 1);
	return sizeof(head) - 1;
}

/* An event becomes one chunk of the body. */
static size_t chunk(char *to, const char *event, int n_event)
{
	int n = snprintf(to, MOCK_REPLY_MAX, "%x\r\n%s\r\n", (unsigned int)n_event, event);

	assert(n > n_event && n < MOCK_REPLY_MAX);
	return (size_t)n;
}

size_t mock_reply_stream_frame(char *to, const char *user, uint32_t number)
{
	char event[MOCK_REPLY_MAX];
	int n = snprintf(event, sizeof(event),
			 FRAME_START
			 "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%u token\"},"
			 "\"logprobs\":null,\"finish_reason\":null}]}\n\n",
			 user, number);

	return chunk(to, event, n);
}

size_t mock_reply_stream_end(char *to, const char *user, uint32_t n_frames)
{
	char events[MOCK_REPLY_MAX];
	int n = snprintf(events, sizeof(events),
			 FRAME_START "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,"
				     "\"finish_reason\":\"stop\"}]}\n\n" FRAME_START
				     "\"choices\":[],\"usage\":{\"prompt_tokens\":120,"
				     "\"completion_tokens\":%u,\"total_tokens\":%u}}\n\n"
				     "data: [DONE]\n\n",
			 user, user, n_frames, n_frames + 120);
	size_t n_chunk = chunk(to, events, n);

	memcpy(to + n_chunk, "0\r\n\r\n", 5);
	return n_chunk + 5;
}
