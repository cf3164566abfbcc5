/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent, and how connections are reused. */
#include "upstream/transfer.h"

#include "tap.h"
#include "transfer_run.h"

static struct loop *loop;
static struct client *client;

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

static void test_request(void)
{
	static const struct server_step script[] = {
		{SERVER_ACCEPT, NULL, 0},
		{SERVER_READ, NULL, 0},
		{SERVER_SEND,
		 OK_HEAD "Content-Type:  text/plain \r\nX-B:\r\ncontent-length: 2\r\n\r\nok", 0},
		{SERVER_END, NULL, 0}};
	static const struct header headers[] = {
		{{"X-Request-Id", 12}, {"abc", 3}},
		{{"X-Empty", 7}, {"", 0}},
		{{"X-Split", 7}, {"a\r\nEvil: 1", 10}},
	};
	struct server server;
	struct run run;

	server_start(&server, script);
	run_init(&run, loop, client, &server);
	run.target.authorization = "Bearer sk-test";
	run.request.method = "POST";
	run.request.path = "/v1/chat/completions";
	run.request.body = STR_LITERAL("{\"model\":\"m\"}");
	run.request.headers = headers;
	run.request.n_headers = ARRAY_SIZE(headers);
	run_start(&run);
	loop_run(loop);
	is_int(run.result.outcome, OUTCOME_OK, "a POST is answered");
	is_u64(run.result.trace.sent_bytes, 13, "the body's bytes are counted");
	ok(!run.result.trace.reused && run.result.trace.timings.connect > 0,
	   "a new connection was made");
	ok(run.result.trace.timings.first_byte >= run.result.trace.timings.connect &&
		   run.result.trace.timings.total >= run.result.trace.timings.first_byte,
	   "the phases follow each other");
	is_text(run.content_type, "text/plain", "content type");
	is_text(run.header_text, "Content-Type=text/plain;X-B=;content-length=2;", "all headers");
	run_finish(&run);
	ok(!server_join(&server), "the server is content");
	ok(str_has_prefix(str_of(server.request),
			  STR_LITERAL("POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:")),
	   "request line and Host");
	ok(strstr(server.request, "\r\nAuthorization: Bearer sk-test\r\n"), "the target's key");
	ok(strstr(server.request, "\r\nContent-Type: application/json\r\n"), "JSON");
	ok(strstr(server.request, "\r\nContent-Length: 13\r\n"), "exact length");
	ok(strstr(server.request, "\r\nAccept-Encoding: identity\r\n"), "no compression");
	ok(strstr(server.request, "\r\nX-Request-Id: abc\r\n"), "the caller's headers");
	ok(strstr(server.request, "\r\nX-Empty:\r\n") ||
		   strstr(server.request, "\r\nX-Empty: \r\n"),
	   "an empty one, too");
	ok(!strstr(server.request, "Evil"), "no header splits the request");
	ok(strstr(server.request, "\r\n\r\n{\"model\":\"m\"}"), "the body as it was");
	ok(!strcasestr(server.request, "expect"), "no Expect");
}

static void test_get(void)
{
	static const struct server_step script[] = {
		{SERVER_ACCEPT, NULL, 0},
		{SERVER_READ, NULL, 0},
		{SERVER_SEND, OK_HEAD "Content-Length: 0\r\n\r\n", 0},
		{SERVER_END, NULL, 0}};
	struct server server;
	struct run run;

	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	server_start(&server, script);
	run_init(&run, loop, client, &server);
	run.request.path = "/v1/models";
	run_start(&run);
	loop_run(loop);
	is_int(run.result.outcome, OUTCOME_OK, "the environment's proxy is ignored");
	run_finish(&run);
	server_join(&server);
	unsetenv("http_proxy");
	ok(str_has_prefix(str_of(server.request), STR_LITERAL("GET /v1/models HTTP/1.1\r\n")),
	   "a GET");
	ok(!strcasestr(server.request, "content-type") &&
		   !strcasestr(server.request, "content-length"),
	   "without a body's headers");
	ok(!strcasestr(server.request, "authorization"), "the key of the request before is gone");
}

static void test_large_body(void)
{
	static const struct server_step script[] = {
		{SERVER_ACCEPT, NULL, 0},
		{SERVER_READ, NULL, 0},
		{SERVER_SEND, OK_HEAD "Content-Length: 0\r\n\r\n", 0},
		{SERVER_END, NULL, 0}};
	size_t n = 3 << 20;
	char *body = malloc(n);
	struct server server;
	struct run run;

	memset(body, 'b', n);
	server_start(&server, script);
	run_init(&run, loop, client, &server);
	run.request.method = "POST";
	run.request.body = (struct str){body, n};
	run_start(&run);
	loop_run(loop);
	is_int(run.result.outcome, OUTCOME_OK, "3 MB are sent");
	is_u64(run.result.trace.sent_bytes, n, "all of them");
	run_finish(&run);
	ok(!server_join(&server) && server.request_bytes > n, "and received");
	free(body);
}

static char *lent;
static bool sent_at[2]; /* with the pieces of the answer */

static void take_back_when_sent(struct run *run, struct str data UNUSED)
{
	struct transfer_trace trace;

	transfer_get_trace(run->transfer, &trace);
	if (run->n_datas <= ARRAY_SIZE(sent_at))
		sent_at[run->n_datas - 1] = trace.body_sent;
	if (!trace.body_sent)
		return;
	free(lent);
	lent = NULL;
}

/* The server answers before it reads; the body is more than sockets hold. */
static void test_body_is_given_back(void)
{
	static const struct server_step script[] = {
		{SERVER_ACCEPT, NULL, 0},
		{SERVER_SEND, OK_HEAD "Content-Length: 6\r\n\r\none", 0},
		{SERVER_READ, NULL, 0},
		{SERVER_SEND, "two", 0},
		{SERVER_END, NULL, 0}};
	size_t n = 32 << 20;
	struct server server;
	struct run run;

	lent = need(malloc(n));
	memset(lent, 'b', n);
	server_start(&server, script);
	run_init(&run, loop, client, &server);
	run.request.method = "POST";
	run.request.body = (struct str){lent, n};
	run.on_data = take_back_when_sent;
	run_start(&run);
	loop_run(loop);
	is_int(run.result.outcome, OUTCOME_OK, "an answer begins before its request is sent");
	ok(run.n_datas == 2 && !sent_at[0], "the body is needed until then");
	ok(sent_at[1] && !lent, "and not any more");
	run_finish(&run);
	ok(!server_join(&server) && server.request_bytes > n, "all of it was received");
	free(lent);
}

struct reuse {
	const char *what;
	struct server_step script[12];
	enum outcome outcome; /* of the second request */
	bool reused;
	unsigned n_accepted, n_requests;
};

static const char one[] = OK_HEAD "Content-Length: 3\r\n\r\none";
static const char one_excess[] = OK_HEAD "Content-Length: 3\r\n\r\noneHTTP/1.1 200 OK\r\n"
					 "Content-Length: 4\r\n\r\nevil";
static const char two[] = OK_HEAD "Content-Length: 3\r\n\r\ntwo";

static const struct reuse reuses[] = {
	{"a kept connection",
	 {{SERVER_ACCEPT, NULL, 0},
	  {SERVER_READ, NULL, 0},
	  {SERVER_SEND, one, 0},
	  {SERVER_NOTIFY, NULL, 0},
	  {SERVER_READ, NULL, 0},
	  {SERVER_SEND, two, 0}},
	 OUTCOME_OK,
	 true,
	 1,
	 2},
	{"bytes behind the first answer",
	 {{SERVER_ACCEPT, NULL, 0},
	  {SERVER_READ, NULL, 0},
	  {SERVER_SEND, one_excess, 0},
	  {SERVER_NOTIFY, NULL, 0},
	  {SERVER_ACCEPT, NULL, 0},
	  {SERVER_READ, NULL, 0},
	  {SERVER_SEND, two, 0}},
	 OUTCOME_OK,
	 false,
	 2,
	 2},
	{"a connection closed while idle",
	 {{SERVER_ACCEPT, NULL, 0},
	  {SERVER_READ, NULL, 0},
	  {SERVER_SEND, one, 0},
	  {SERVER_CLOSE, NULL, 0},
	  {SERVER_NOTIFY, NULL, 0},
	  {SERVER_ACCEPT, NULL, 0},
	  {SERVER_READ, NULL, 0},
	  {SERVER_SEND, two, 0}},
	 OUTCOME_OK,
	 false,
	 2,
	 2},
	{"a connection closed by the next request",
	 {{SERVER_ACCEPT, NULL, 0},
	  {SERVER_READ, NULL, 0},
	  {SERVER_SEND, one, 0},
	  {SERVER_NOTIFY, NULL, 0},
	  {SERVER_READ, NULL, 0},
	  {SERVER_CLOSE, NULL, 0},
	  {SERVER_ACCEPT, NULL, 0},
	  {SERVER_WAIT_CLOSE, NULL, 0}},
	 OUTCOME_RESET,
	 true,
	 2,
	 2},
	{"a connection reset by the next request",
	 {{SERVER_ACCEPT, NULL, 0},
	  {SERVER_READ, NULL, 0},
	  {SERVER_SEND, one, 0},
	  {SERVER_NOTIFY, NULL, 0},
	  {SERVER_READ, NULL, 0},
	  {SERVER_RESET, NULL, 0},
	  {SERVER_ACCEPT, NULL, 0},
	  {SERVER_WAIT_CLOSE, NULL, 0}},
	 OUTCOME_RESET,
	 true,
	 2,
	 2},
};

/* The second request begins when the first is answered and the server is where it should be. */
static bool first_done, notified;

static void second_when_ready(struct run *run)
{
	if (!first_done || !notified)
		return;
	first_done = notified = false;
	run_again(run);
}

static void reuse_done(struct run *run)
{
	if (run_body_is(run, "one")) {
		first_done = true;
		second_when_ready(run);
	}
}

static void reuse_notified(struct run *run)
{
	notified = true;
	second_when_ready(run);
}

/* Before 7.80 libcurl sends a request again without asking. */
static bool repeats_silently(void)
{
	return strncmp(client_version(), "libcurl/7.7", 11) == 0;
}

static void check_reuse(const struct reuse *row)
{
	struct server server;
	struct run run;

	server_start(&server, row->script);
	run_init(&run, loop, client, &server);
	run.request.method = "POST";
	run.request.body = STR_LITERAL("{\"prompt\":\"a body\"}");
	run.on_done = reuse_done;
	run.on_notify = reuse_notified;
	run_start(&run);
	loop_run(loop);
	ok(run.result.outcome == row->outcome, "%s: the second request: %s (%s, %s)", row->what,
	   outcome_name(row->outcome), outcome_name(run.result.outcome), run.error);
	ok(run_body_is(&run, row->outcome == OUTCOME_OK ? "two" : ""), "%s: its own answer",
	   row->what);
	ok(run.result.trace.reused == row->reused, "%s: reused is said", row->what);
	run_finish(&run);
	ok(!server_join(&server), "%s: the server is content", row->what);
	is_u64(server.n_accepted, row->n_accepted, "connections");
	is_u64(server.n_requests, row->n_requests, "requests");
	ok(strstr(server.request, "a body"), "with its body");
}

static void test_reuse(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(reuses); i++) {
		if (reuses[i].outcome != OUTCOME_OK && repeats_silently())
			tap_skip(reuses[i].what, "libcurl repeats requests by itself");
		else
			check_reuse(&reuses[i]);
	}
}

int main(void)
{
	run_world(&loop, &client);
	test_request();
	test_get();
	test_large_body();
	test_body_is_given_back();
	test_reuse();
	run_world_end(loop, client);
	return tap_done();
}
