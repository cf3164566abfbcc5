/* SPDX-License-Identifier: Apache-2.0 */
/* Pause and resume. */
#include "tap.h"
#include "transfer_run.h"

static struct loop *loop;
static struct client *client;

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

#define MUCH ((size_t)64 << 20)

static bool paused, pattern_broken;
static size_t received, n_pauses;

static void take(struct run *run, struct str data)
{
	run->n_after += paused;
	for (size_t i = 0; i < data.n; i++)
		pattern_broken |= (unsigned char)data.p[i] != (received + i) % 251;
	received += data.n;
}

static void take_and_pause(struct run *run, struct str data)
{
	take(run, data);
	/* The first pause ends when the server notices it, the others soon. */
	if (n_pauses++ > 0 && n_pauses % 8 != 0)
		return;
	paused = true;
	transfer_pause(run->transfer);
	if (n_pauses > 1)
		run_later(run, 0);
}

static void resume_run(struct run *run)
{
	paused = false;
	/* It may be over: on_done comes while paused, too, when no data are left. */
	if (run->transfer)
		transfer_resume(run->transfer);
}

/* The server may have filled the pipe before anything was read: the pause comes first. */
static void check_and_resume(struct run *run)
{
	run->on_later = run->n_datas == 0 ? check_and_resume : resume_run;
	if (run->n_datas == 0) {
		run_later(run, 0);
		return;
	}
	ok(run->n_datas == 1, "nothing comes while paused");
	resume_run(run);
}

static void test_pause(void)
{
	static const struct server_step script[] = {
		{SERVER_ACCEPT, NULL, 0},
		{SERVER_READ, NULL, 0},
		{SERVER_SEND, OK_HEAD "Content-Length: 67108864\r\n\r\n", 0},
		{SERVER_SEND_UNTIL_BLOCKED, NULL, MUCH},
		{SERVER_NOTIFY, NULL, 0},
		{SERVER_SEND_REMAINING, NULL, MUCH},
		{SERVER_END, NULL, 0}};
	struct server server;
	struct run run;

	server_start(&server, script);
	run_init(&run, loop, client, &server);
	run.on_data = take_and_pause;
	run.on_later = resume_run;
	run.on_notify = check_and_resume;
	run_start(&run);
	loop_run(loop);
	ok(run.result.outcome == OUTCOME_OK && received == MUCH && !pattern_broken,
	   "64 MB with pauses, every byte once");
	is_u64(run.result.trace.received_bytes, MUCH, "and counted");
	ok(run.n_after == 0, "never data while paused");
	run_finish(&run);
	ok(!server_join(&server), "the server is content");
	ok(server.blocked, "the server had to wait while the transfer was paused");
}

static void pause_each(struct run *run, struct str data)
{
	run->n_after += paused;
	if (buf_append_str(&run->body, data) < 0)
		abort();
	paused = true;
	transfer_pause(run->transfer);
	run_later(run, 0);
}

static void pause_and_resume(struct run *run, struct str data)
{
	transfer_resume(run->transfer);
	if (buf_append_str(&run->body, data) < 0)
		abort();
	transfer_pause(run->transfer);
	transfer_resume(run->transfer);
}

static void pause_in_head(struct run *run)
{
	paused = true;
	transfer_pause(run->transfer);
	run_later(run, 0);
}

/* Many chunks that come together: each is held back on its own. */
static void test_pause_chunks(void)
{
	static const struct server_step script[] = {
		{SERVER_ACCEPT, NULL, 0},
		{SERVER_READ, NULL, 0},
		{SERVER_SEND,
		 OK_HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n"
			 "3\r\ndef\r\n1\r\ng\r\n4\r\nhijk\r\n0\r\n\r\n",
		 0},
		{SERVER_END, NULL, 0}};
	static void (*const on_datas[])(struct run * run, struct str data) = {pause_each,
									      pause_and_resume};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(on_datas); i++) {
		struct server server;
		struct run run;

		paused = false;
		server_start(&server, script);
		run_init(&run, loop, client, &server);
		run.on_head = i < 2 ? NULL : pause_in_head;
		run.on_data = on_datas[i % 2];
		run.on_later = resume_run;
		run_start(&run);
		loop_run(loop);
		ok(run.result.outcome == OUTCOME_OK && run_body_is(&run, "abcdefghijk"),
		   "chunks, way %zu: every byte once (%s)", i, run.error);
		ok(run.n_after == 0, "chunks, way %zu: never data while paused", i);
		run_finish(&run);
		ok(!server_join(&server), "the server is content");
	}
}

static const struct server_step half[] = {
	{SERVER_ACCEPT, NULL, 0},
	{SERVER_READ, NULL, 0},
	{SERVER_SEND, OK_HEAD "Content-Length: 10\r\n\r\nhello", 0},
	{SERVER_WAIT_CLOSE, NULL, 0},
	{SERVER_END, NULL, 0}};

static void pause_long(struct run *run, struct str data UNUSED)
{
	transfer_pause(run->transfer);
	run_later(run, 60 * NS_PER_MSEC);
}

/* The pause is longer than the deadline by its definition, not by a race: the deadline comes
 * after it, when the server stays silent. */
static void test_idle_while_paused(void)
{
	struct server server;
	struct run run;

	server_start(&server, half);
	run_init(&run, loop, client, &server);
	run.request.idle_timeout_ns = 20 * NS_PER_MSEC;
	run.on_data = pause_long;
	run.on_later = resume_run;
	run_start(&run);
	loop_run(loop);
	is_int(run.result.outcome, OUTCOME_TIMEOUT, "silence after a pause times out");
	ok(run.result.trace.timings.total >= 80 * NS_PER_MSEC,
	   "the pause does not count as silence");
	run_finish(&run);
	ok(!server_join(&server), "the server saw the close");
}

static void cancel_when_held(struct run *run)
{
	if (run->n_datas == 0)
		run_later(run, 0);
	else
		run_cancel(run);
}

/* libcurl holds data back, and the socket is not read. */
static void test_cancel_held(void)
{
	static const struct server_step script[] = {
		{SERVER_ACCEPT, NULL, 0},
		{SERVER_READ, NULL, 0},
		{SERVER_SEND, OK_HEAD "Content-Length: 67108864\r\n\r\n", 0},
		{SERVER_SEND_UNTIL_BLOCKED, NULL, MUCH},
		{SERVER_NOTIFY, NULL, 0},
		{SERVER_WAIT_CLOSE, NULL, 0},
		{SERVER_END, NULL, 0}};
	struct server server;
	struct run run;

	server_start(&server, script);
	run_init(&run, loop, client, &server);
	received = n_pauses = 0;
	paused = false;
	run.on_data = take_and_pause;
	run.on_notify = run.on_later = cancel_when_held;
	run_start(&run);
	loop_run(loop);
	ok(run.n_datas == 1 && run.n_dones == 0 && run.n_after == 0, "cancelled while held");
	run_finish(&run);
	ok(!server_join(&server), "the server saw the close");
}

int main(void)
{
	run_world(&loop, &client);
	test_pause();
	test_pause_chunks();
	test_idle_while_paused();
	test_cancel_held();
	run_world_end(loop, client);
	return tap_done();
}
