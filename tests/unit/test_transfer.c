/* SPDX-License-Identifier: Apache-2.0 */
/* What every kind of answer and failure becomes. */
#include "upstream/transfer.h"

#include "tap.h"
#include "transfer_run.h"

static struct loop *loop;
static struct client *client;

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

enum ending { END_KEEP, END_CLOSE, END_RESET };

struct answer {
	const char *what, *text;
	enum ending ending;
	enum outcome outcome;
	unsigned status;
	const char *body;
	int64_t content_length;
};

static const struct answer answers[] = {
	{"a length", OK_HEAD "Content-Length: 5\r\n\r\nhello", END_KEEP, OUTCOME_OK, 200, "hello",
	 5},
	{"an empty body", OK_HEAD "Content-Length: 0\r\n\r\n", END_KEEP, OUTCOME_OK, 200, "", 0},
	{"chunks", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
	 END_KEEP, OUTCOME_OK, 200, "hello!", -1},
	{"trailers", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",
	 END_KEEP, OUTCOME_OK, 200, "hi", -1},
	{"a body ended by the close", OK_HEAD "\r\nhello", END_CLOSE, OUTCOME_OK, 200, "hello", -1},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nold", END_CLOSE, OUTCOME_OK, 200, "old", -1},
	{"100 and 103 before",
	 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: "
	 "3\r\n"
	 "\r\n" OK_HEAD "Content-Length: 2\r\n\r\nok",
	 END_KEEP, OUTCOME_OK, 200, "ok", 2},
	{"204", "HTTP/1.1 204 No Content\r\n\r\n", END_KEEP, OUTCOME_OK, 204, "", -1},
	{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", END_KEEP, OUTCOME_OK, 304,
	 "", 9},
	{"500 with a body", "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", END_KEEP,
	 OUTCOME_OK, 500, "oops", 4},
	{"a redirect", "HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 2\r\n\r\nno",
	 END_KEEP, OUTCOME_OK, 302, "no", 2},
	{"no reason phrase", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", END_KEEP, OUTCOME_OK,
	 200, "ok", 2},
	{"an encoded answer", OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw",
	 END_KEEP, OUTCOME_OK, 200, "raw", 3},
	{"bytes behind the end", OK_HEAD "Content-Length: 2\r\n\r\nokHTTP/1.1 666 Evil\r\n\r\n",
	 END_KEEP, OUTCOME_OK, 200, "ok", 2},
	{"equal lengths twice", OK_HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
	 END_KEEP, OUTCOME_OK, 200, "ok", 2},

	{"a close before anything", "", END_CLOSE, OUTCOME_RESET, 0, "", 0},
	{"a reset before anything", "", END_RESET, OUTCOME_RESET, 0, "", 0},
	{"a close in the status line", "HTTP/1.1 20", END_CLOSE, OUTCOME_RESET, 0, "", 0},
	{"a close in the head", OK_HEAD "Content-Ty", END_CLOSE, OUTCOME_RESET, 0, "", 0},
	{"a close after 100", "HTTP/1.1 100 Continue\r\n\r\n", END_CLOSE, OUTCOME_RESET, 0, "", 0},
	{"a body cut by a close", OK_HEAD "Content-Length: 5\r\n\r\nhe", END_CLOSE,
	 OUTCOME_TRUNCATED, 200, "he", 5},
	{"a body cut by a reset", OK_HEAD "Content-Length: 5\r\n\r\n", END_RESET, OUTCOME_TRUNCATED,
	 200, "", 5},
	{"a cut chunk", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhe", END_CLOSE,
	 OUTCOME_TRUNCATED, 200, "he", -1},
	{"no last chunk", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", END_CLOSE,
	 OUTCOME_TRUNCATED, 200, "hi", -1},
	{"a chunk size that is none", OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\nhi",
	 END_KEEP, OUTCOME_TRUNCATED, 200, "", -1},

	{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", END_CLOSE, OUTCOME_PARSE, 0, "", 0},
	{"HTML without a head", "<html>hello</html>", END_CLOSE, OUTCOME_PARSE, 0, "", 0},
	{"101 unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nbytes", END_CLOSE,
	 OUTCOME_PARSE, 0, "", 0},
	{"a status above 599", "HTTP/1.1 777 Lucky\r\nContent-Length: 0\r\n\r\n", END_KEEP,
	 OUTCOME_PARSE, 0, "", 0},
	{"two lengths", OK_HEAD "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!", END_KEEP,
	 OUTCOME_PARSE, 0, "", 0},
	{"a length that is none", OK_HEAD "Content-Length: -2\r\n\r\nok", END_KEEP, OUTCOME_PARSE,
	 0, "", 0},
	{"a huge length", OK_HEAD "Content-Length: 99999999999999999999\r\n\r\nok", END_KEEP,
	 OUTCOME_PARSE, 0, "", 0},
	{"a compressed transfer coding",
	 OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", END_KEEP, OUTCOME_PARSE, 0,
	 "", 0},
	{"a control byte in a value", OK_HEAD "X-A: a\x01z\r\nContent-Length: 0\r\n\r\n", END_KEEP,
	 OUTCOME_PARSE, 0, "", 0},
	{"a blank in a name", OK_HEAD "X A: a\r\nContent-Length: 0\r\n\r\n", END_KEEP,
	 OUTCOME_PARSE, 0, "", 0},
	{"a folded header", OK_HEAD "X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n", END_KEEP,
	 OUTCOME_PARSE, 0, "", 0},
};

static void script_for(const struct answer *a, struct server_step script[6])
{
	static const enum server_op endings[] = {
		[END_KEEP] = SERVER_WAIT_CLOSE,
		[END_CLOSE] = SERVER_CLOSE,
		[END_RESET] = SERVER_RESET,
	};

	memset(script, 0, 6 * sizeof(*script));
	script[0].op = SERVER_ACCEPT;
	script[1].op = SERVER_READ;
	script[2] = (struct server_step){SERVER_SEND, a->text, 0};
	/* A kept connection outlives its transfer: there is nothing to wait for then. */
	script[3].op =
		a->ending == END_KEEP && a->outcome == OUTCOME_OK ? SERVER_END : endings[a->ending];
}

static void check_answer(const struct answer *a, const struct run *run)
{
	ok(run->result.outcome == a->outcome, "%s: outcome %s (%s: %s)", a->what,
	   outcome_name(a->outcome), outcome_name(run->result.outcome), run->error);
	is_int(run->result.status, a->status, "%s: status", a->what);
	ok(run_body_is(run, a->body), "%s: body", a->what);
	ok(run->result.trace.received_bytes == run->body.len, "%s: bytes counted", a->what);
	ok(run->n_heads == (a->status != 0) && run->n_dones == 1 && run->n_after == 0,
	   "%s: the events in order", a->what);
	ok((a->outcome == OUTCOME_OK) == (run->error[0] == '\0'), "%s: an error has its text",
	   a->what);
	if (a->status) {
		is_int(run->head_status, a->status, "%s: the head's status", a->what);
		is_int(run->content_length, a->content_length, "%s: content length", a->what);
	}
}

static void test_answers(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct server_step script[6];
		struct server server;
		struct run run;

		script_for(&answers[i], script);
		server_start(&server, script);
		run_init(&run, loop, client, &server);
		run_start(&run);
		loop_run(loop);
		check_answer(&answers[i], &run);
		run_finish(&run);
		ok(!server_join(&server), "%s: the server saw what it should (%s)", answers[i].what,
		   server.error ? server.error : "");
	}
}

/* Heads above a ceiling: many headers, one long line, interim heads without end. */
static void test_head_bombs(void)
{
	static const struct {
		const char *what, *piece;
		size_t n;
		enum outcome outcome;
	} bombs[] = {
		{"128 headers", "X-A: b\r\n", 128, OUTCOME_OK},
		{"129 headers", "X-A: b\r\n", 129, OUTCOME_PARSE},
		{"headers of 70 KB",
		 "X-A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n",
		 120, OUTCOME_PARSE},
		{"interim heads without end", "HTTP/1.1 100 Continue\r\n\r\n", 4000, OUTCOME_PARSE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bombs); i++) {
		bool interim = bombs[i].piece[0] == 'H';
		struct server_step script[] = {{SERVER_ACCEPT, NULL, 0},
					       {SERVER_READ, NULL, 0},
					       {SERVER_SEND, NULL, 0},
					       {SERVER_END, NULL, 0}};
		struct server server;
		struct run run;
		struct buf text;
		size_t len;
		char *answer;
		int r = 0;

		buf_init(&text, 1 << 20);
		r |= buf_append_str(&text, str_of(interim ? "" : "HTTP/1.1 204 No\r\n"));
		for (size_t n = 0; n < bombs[i].n; n++)
			r |= buf_append_str(&text, str_of(bombs[i].piece));
		r |= buf_append_str(&text, STR_LITERAL("\r\n"));
		answer = buf_take(&text, &len);
		script[2].text = answer;
		server_start(&server, script);
		run_init(&run, loop, client, &server);
		run_start(&run);
		loop_run(loop);
		ok(r == 0 && run.result.outcome == bombs[i].outcome, "%s: %s (%s)", bombs[i].what,
		   outcome_name(bombs[i].outcome), run.error);
		is_int(run.n_heads, bombs[i].outcome == OUTCOME_OK, "%s: heads", bombs[i].what);
		if (bombs[i].outcome == OUTCOME_OK)
			is_int((long long)run.n_headers, (long long)bombs[i].n, "all of them");
		run_finish(&run);
		server_join(&server); /* it may have been refused in the middle */
		free(answer);
	}
}

/* Failures without a server's help. */
static void test_failures(void)
{
	static const struct {
		const char *what, *url;
		enum outcome outcome;
	} rows[] = {
		{"nobody listens", "http://127.0.0.1:1", OUTCOME_CONNECT},
		{"a name that cannot be",
		 "http://"
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.test",
		 OUTCOME_DNS},
		{"a scheme that is not spoken", "ftp://127.0.0.1:1", OUTCOME_PARSE},
		{"no URL", "http://", OUTCOME_CONNECT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct run run;

		run_init(&run, loop, client, NULL);
		run.target.url = rows[i].url;
		run_start(&run);
		loop_run(loop);
		ok(run.result.outcome == rows[i].outcome, "%s: %s (%s: %s)", rows[i].what,
		   outcome_name(rows[i].outcome), outcome_name(run.result.outcome), run.error);
		ok(run.n_heads == 0 && run.n_dones == 1 && run.error[0], "%s: said once",
		   rows[i].what);
		run_finish(&run);
	}
}

static void test_tls_failure(void)
{
	static const struct server_step script[] = {{SERVER_ACCEPT, NULL, 0},
						    {SERVER_SEND, "this is no TLS\r\n", 0},
						    {SERVER_WAIT_CLOSE, NULL, 0},
						    {SERVER_END, NULL, 0}};
	static const char *const ca_files[] = {NULL, "/nonexistent/ca.pem", NULL};
	char url[64];

	for (size_t i = 0; i < ARRAY_SIZE(ca_files); i++) {
		struct server server;
		struct run run;

		server_start(&server, script);
		run_init(&run, loop, client, &server);
		snprintf(url, sizeof(url), "https://127.0.0.1:%u", (unsigned)server.port);
		run.target.url = url;
		run.target.ca_file = ca_files[i];
		run_start(&run);
		loop_run(loop);
		ok(run.result.outcome == OUTCOME_TLS, "no TLS there (%zu): %s", i, run.error);
		ok(!ca_files[i] == !strstr(run.error, "nonexistent"),
		   "ca_file is the target's own");
		run_finish(&run);
		server_join(&server);
	}
}

int main(void)
{
	run_world(&loop, &client);
	test_answers();
	test_head_bombs();
	test_failures();
	test_tls_failure();
	run_world_end(loop, client);
	return tap_done();
}
