/* SPDX-License-Identifier: Apache-2.0 */
/* A body that is supplied while it is sent. */
#include <errno.h>

#include "tap.h"
#include "transfer_run.h"

static struct loop *loop;
static struct client *client;

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define SHORT_NS  (50 * NS_PER_MSEC)

static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
static const size_t text_bytes = sizeof(text) - 1;

static size_t given, available, n_asked, n_starved, n_sent_early;

static ssize_t supply(void *context, char *out, size_t room)
{
	struct run *run = context;
	size_t n = available - given;

	n_asked++;
	run->n_after += run->over;
	if (n == 0 && given < text_bytes) {
		n_starved++;
		return -EAGAIN;
	}
	if (n > room)
		n = room;
	memcpy(out, text + given, n);
	given += n;
	return (ssize_t)n;
}

static void begin(struct run *run, struct server *server, const struct server_step *script)
{
	given = available = n_asked = n_starved = n_sent_early = 0;
	server_start(server, script);
	run_init(run, loop, client, server);
	run->request.method = "POST";
	run->request.path = "/v1/x";
	run->request.content_type = STR_LITERAL("multipart/form-data; boundary=B");
	run->request.supply = supply;
	run->request.supplied_bytes = (int64_t)text_bytes;
}

/* Longer than any timeout of the transfer after each piece. */
static void give_more(struct run *run)
{
	struct transfer_trace trace = {0};

	available = available + 12 < text_bytes ? available + 12 : text_bytes;
	if (run->transfer) {
		transfer_get_trace(run->transfer, &trace);
		transfer_supply(run->transfer);
	}
	n_sent_early += trace.body_sent;
	if (available < text_bytes)
		run_later(run, 2 * SHORT_NS);
}

static void test_pieces(void)
{
	static const struct server_step script[] = {{SERVER_ACCEPT, NULL, 0},
						    {SERVER_READ, NULL, 0},
						    {SERVER_SEND, OK_ANSWER, 0},
						    {SERVER_END, NULL, 0}};
	struct server server;
	struct run run;

	begin(&run, &server, script);
	run.request.first_byte_timeout_ns = run.request.idle_timeout_ns = SHORT_NS;
	run.on_later = give_more;
	run_start(&run);
	run_later(&run, 2 * SHORT_NS);
	loop_run(loop);
	is_int(run.result.outcome, OUTCOME_OK, "timeouts stand still while there is no more");
	ok(n_starved > 0, "it was asked in vain, and again");
	is_u64(run.result.trace.sent_bytes, text_bytes, "all of it was sent");
	ok(run.result.trace.body_sent && n_sent_early == 0, "and so it says, not before");
	run_finish(&run);
	ok(!server_join(&server), "the server is content");
	ok(strstr(server.request, "\r\nContent-Type: multipart/form-data; boundary=B\r\n") &&
		   strstr(server.request, "\r\nContent-Length: 36\r\n"),
	   "with its type and its length");
	ok(strstr(server.request, text), "as it was");
}

static void test_timeout(void)
{
	static const struct server_step script[] = {{SERVER_ACCEPT, NULL, 0},
						    {SERVER_READ, NULL, 0},
						    {SERVER_WAIT_CLOSE, NULL, 0},
						    {SERVER_END, NULL, 0}};
	struct server server;
	struct run run;

	begin(&run, &server, script);
	available = text_bytes;
	run.request.first_byte_timeout_ns = SHORT_NS;
	run_start(&run);
	loop_run(loop);
	is_int(run.result.outcome, OUTCOME_TIMEOUT,
	       "with the last byte the wait for an answer begins");
	run_finish(&run);
	server_join(&server);
}

static void pause_long(struct run *run, struct str data UNUSED)
{
	if (run->n_datas > 1)
		return;
	transfer_pause(run->transfer);
	run_later(run, 4 * SHORT_NS);
}

static void go_on(struct run *run)
{
	transfer_resume(run->transfer);
}

/* Nobody asks for the end of a body of known length, but it is there all the same. */
static void test_pause_behind_the_body(void)
{
	static const struct server_step script[] = {
		{SERVER_ACCEPT, NULL, 0},
		{SERVER_READ, NULL, 0},
		{SERVER_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", 0},
		{SERVER_SEND_BYTES, NULL, 1000000},
		{SERVER_END, NULL, 0}};
	struct server server;
	struct run run;

	begin(&run, &server, script);
	available = text_bytes;
	run.request.idle_timeout_ns = SHORT_NS;
	run.on_data = pause_long;
	run.on_later = go_on;
	run_start(&run);
	loop_run(loop);
	is_int(run.result.outcome, OUTCOME_OK, "a pause longer than the timeout is none of it");
	is_u64(run.result.trace.received_bytes, 1000000, "all of the answer came");
	run_finish(&run);
	ok(!server_join(&server), "the server is content");
}

/* Large enough for libcurl to send it apart from the head. */
static void test_no_first_byte(void)
{
	static const struct server_step script[] = {{SERVER_ACCEPT, NULL, 0},
						    {SERVER_READ, NULL, 0},
						    {SERVER_RESET, NULL, 0},
						    {SERVER_END, NULL, 0}};
	static char large[200000];
	struct server server;
	struct run run;

	memset(large, ' ', sizeof(large));
	begin(&run, &server, script);
	run.request.supply = NULL;
	run.request.body = (struct str){large, sizeof(large)};
	run_start(&run);
	loop_run(loop);
	is_int(run.result.outcome, OUTCOME_RESET, "no answer comes");
	is_u64(run.result.trace.timings.first_byte, 0, "and it has no first byte");
	run_finish(&run);
	ok(!server_join(&server), "the server is content");
}

static void cancel_it(struct run *run)
{
	run_cancel(run);
}

static void test_cancel(void)
{
	static const struct server_step script[] = {
		{SERVER_ACCEPT, NULL, 0}, {SERVER_WAIT_CLOSE, NULL, 0}, {SERVER_END, NULL, 0}};
	struct server server;
	struct run run;

	begin(&run, &server, script);
	available = 10;
	run.on_later = cancel_it;
	run_start(&run);
	run_later(&run, SHORT_NS);
	loop_run(loop);
	is_u64(given, 10, "what there was had been taken");
	ok(run.n_dones == 0 && run.n_after == 0, "nothing is called after a cancel");
	run_finish(&run);
	server_join(&server);
}

static void test_next_is_not_supplied(void)
{
	static const struct server_step script[] = {{SERVER_ACCEPT, NULL, 0},
						    {SERVER_READ, NULL, 0},
						    {SERVER_SEND, OK_ANSWER, 0},
						    {SERVER_END, NULL, 0}};
	struct server server;
	struct run run;

	begin(&run, &server, script);
	run.request.supply = NULL;
	run.request.body = STR_LITERAL("{}");
	run.request.content_type = (struct str){NULL, 0};
	run_start(&run);
	loop_run(loop);
	is_int(run.result.outcome, OUTCOME_OK, "the handle is used again");
	is_u64(n_asked, 0, "nobody is asked for a body that is there");
	run_finish(&run);
	server_join(&server);
	ok(strstr(server.request, "\r\nContent-Length: 2\r\n") &&
		   strstr(server.request, "\r\nContent-Type: application/json\r\n") &&
		   strstr(server.request, "\r\n\r\n{}"),
	   "which is sent");
}

int main(void)
{
	run_world(&loop, &client);
	test_pieces();
	test_timeout();
	test_pause_behind_the_body();
	test_no_first_byte();
	test_cancel();
	test_next_is_not_supplied();
	run_world_end(loop, client);
	return tap_done();
}
