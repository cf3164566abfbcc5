/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines, and cancel in every phase. */
#include "tap.h"
#include "transfer_run.h"

static struct loop *loop;
static struct client *client;

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define TEN     OK_HEAD "Content-Length: 10\r\n\r\n"

static const struct server_step silent[] = {{SERVER_ACCEPT, NULL, 0},
					    {SERVER_READ, NULL, 0},
					    {SERVER_NOTIFY, NULL, 0},
					    {SERVER_WAIT_CLOSE, NULL, 0},
					    {SERVER_END, NULL, 0}};
static const struct server_step head_only[] = {
	{SERVER_ACCEPT, NULL, 0}, {SERVER_READ, NULL, 0},       {SERVER_SEND, TEN, 0},
	{SERVER_NOTIFY, NULL, 0}, {SERVER_WAIT_CLOSE, NULL, 0}, {SERVER_END, NULL, 0}};
static const struct server_step half[] = {{SERVER_ACCEPT, NULL, 0},      {SERVER_READ, NULL, 0},
					  {SERVER_SEND, TEN "hello", 0}, {SERVER_NOTIFY, NULL, 0},
					  {SERVER_WAIT_CLOSE, NULL, 0},  {SERVER_END, NULL, 0}};
static const struct server_step whole[] = {{SERVER_ACCEPT, NULL, 0},
					   {SERVER_READ, NULL, 0},
					   {SERVER_SEND, TEN "helloworld", 0},
					   {SERVER_END, NULL, 0}};

/* The deadline that is short is the one that ends it. */
static void test_deadlines(void)
{
	static const struct {
		const char *what;
		const struct server_step *script;
		uint64_t first_byte_msec, idle_msec;
		unsigned status;
	} rows[] = {
		{"silence", silent, 20, 20000, 0},
		{"a head and silence", head_only, 400, 20000, 200}, /* time for the head to come */
		{"half a body and silence", half, 20000, 20, 200},
		{"half a body, no first deadline", half, 0, 20, 200},
		{"silence, no idle deadline", silent, 20, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct server server;
		struct run run;

		server_start(&server, rows[i].script);
		run_init(&run, loop, client, &server);
		run.request.first_byte_timeout_ns = rows[i].first_byte_msec * NS_PER_MSEC;
		run.request.idle_timeout_ns = rows[i].idle_msec * NS_PER_MSEC;
		run_start(&run);
		loop_run(loop);
		ok(run.result.outcome == OUTCOME_TIMEOUT && run.n_dones == 1,
		   "%s: timeout (%s, %s)", rows[i].what, outcome_name(run.result.outcome),
		   run.error);
		is_int(run.result.status, rows[i].status, "%s: status", rows[i].what);
		run_finish(&run);
		ok(!server_join(&server), "%s: the connection is closed", rows[i].what);
	}
}

/* A listener whose queue is full does not answer a connect. libcurl 7.88 then closes the socket
 * unseen, and looks the next name up with sockets of its own, which get the same number. */
static void test_connect_deadline(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM, 0), waiting[4];
	struct run run;
	char url[64];

	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(listener, 0) < 0 ||
	    getsockname(listener, (struct sockaddr *)&a, &n) < 0)
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(waiting[i], (struct sockaddr *)&a, sizeof(a));
	}
	run_init(&run, loop, client, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", (unsigned)ntohs(a.sin_port));
	run.target.url = url;
	run.request.connect_timeout_ns = 30 * NS_PER_MSEC;
	run_start(&run);
	loop_run(loop);
	is_int(run.result.outcome, OUTCOME_TIMEOUT, "a connect without an answer times out");
	run.target.url = "http://after-a-deadline.test";
	run.request.connect_timeout_ns = 20 * NS_PER_SEC;
	run_again(&run);
	loop_run(loop);
	ok(run.result.outcome == OUTCOME_DNS, "then a name is looked up: %s (%s)",
	   outcome_name(run.result.outcome), run.error);
	run_finish(&run);
	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++)
		close(waiting[i]);
	close(listener);
}

static void test_cancel(void)
{
	static const struct {
		const char *what;
		const struct server_step *script;
		enum run_cancel when;
		unsigned n_heads, n_datas;
	} rows[] = {
		{"before the head", silent, RUN_CANCEL_ON_NOTIFY, 0, 0},
		{"in on_head", half, RUN_CANCEL_IN_HEAD, 1, 0},
		{"in on_head, the whole answer there", whole, RUN_CANCEL_IN_HEAD, 1, 0},
		{"in on_data", half, RUN_CANCEL_IN_DATA, 1, 1},
		{"in on_data, the whole answer there", whole, RUN_CANCEL_IN_DATA, 1, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *body = strdup("{\"prompt\":\"gone after the cancel\"}");
		struct server server;
		struct run run;

		server_start(&server, rows[i].script);
		run_init(&run, loop, client, &server);
		run.request.method = "POST";
		run.request.body = str_of(body);
		run.cancel = rows[i].when;
		run_start(&run);
		loop_run(loop);
		free(body);
		ok(!run.transfer && run.n_dones == 0 && run.n_after == 0,
		   "%s: no event after a cancel", rows[i].what);
		ok(run.n_heads == rows[i].n_heads && run.n_datas == rows[i].n_datas,
		   "%s: the events before it", rows[i].what);
		run_finish(&run);
		ok(!server_join(&server), "%s: the server saw the close", rows[i].what);
	}
}

static void later_at_once(struct run *run, struct str data UNUSED)
{
	run_later(run, 0);
}

static void pause_and_later(struct run *run, struct str data UNUSED)
{
	transfer_pause(run->transfer);
	run_later(run, 0);
}

static void test_cancel_between(void)
{
	static void (*const on_datas[])(struct run * run, struct str data) = {later_at_once,
									      pause_and_later};

	for (size_t i = 0; i < ARRAY_SIZE(on_datas); i++) {
		struct server server;
		struct run run;

		server_start(&server, half);
		run_init(&run, loop, client, &server);
		run.on_data = on_datas[i];
		run.on_later = run_cancel;
		run_start(&run);
		loop_run(loop);
		ok(run.n_datas == 1 && run.n_dones == 0 && run.n_after == 0,
		   "cancelled between data%s: no further event", i ? ", paused" : "");
		run_finish(&run);
		ok(!server_join(&server), "the server saw the close");
	}
}

static void test_cancel_at_once(void)
{
	struct run run;

	run_init(&run, loop, client, NULL);
	run.target.url = "http://127.0.0.1:1";
	run_start(&run);
	run_cancel(&run);
	loop_run(loop);
	ok(run.n_heads + run.n_datas + run.n_dones == 0, "cancelled before it began: no event");
	ok(transfer_cancel(NULL) == NULL, "nothing to cancel");
	run_finish(&run);
}

/* One transfer's callback ends another one, whose body is gone at once. */
static struct run other;
static char *other_body;

static void cancel_other(struct run *run UNUSED)
{
	if (!other.transfer)
		return;
	run_cancel(&other);
	memset(other_body, 'X', strlen(other_body));
	free(other_body);
}

static void test_cancel_other(void)
{
	struct server servers[2];
	struct run run;

	server_start(&servers[0], whole);
	server_start(&servers[1], silent);
	run_init(&run, loop, client, &servers[0]);
	run_init(&other, loop, client, &servers[1]);
	other_body = strdup("{\"prompt\":\"of the other\"}");
	other.request.method = "POST";
	other.request.body = str_of(other_body);
	run_start(&other);
	run_start(&run);
	run.on_head = cancel_other;
	loop_run(loop);
	while (!run.over || !other.over || !other.server_over)
		loop_run(loop);
	ok(run.result.outcome == OUTCOME_OK && run_body_is(&run, "helloworld"),
	   "the one that cancels goes on");
	ok(other.n_heads + other.n_dones == 0, "the cancelled one is not heard of again");
	run_finish(&run);
	run_finish(&other);
	ok(!server_join(&servers[0]), "the first server is content");
	server_join(&servers[1]); /* how far the other came is open */
}

/* An attempt that fails by its head makes room for the next from inside on_head. */
static void start_other(struct run *run)
{
	run_cancel(run);
	run_start(&other);
	ok(other.n_heads + other.n_dones == 0, "no event inside transfer_start()");
}

static void test_start_inside(void)
{
	struct server servers[2];
	struct run run;

	server_start(&servers[0], half);
	server_start(&servers[1], whole);
	run_init(&run, loop, client, &servers[0]);
	run_init(&other, loop, client, &servers[1]);
	run.on_head = start_other;
	run_start(&run);
	while (!run.server_over || !other.over || !other.server_over)
		loop_run(loop);
	ok(run.n_datas == 0 && run_body_is(&other, "helloworld"), "the next attempt is answered");
	run_finish(&run);
	run_finish(&other);
	ok(!server_join(&servers[0]) && !server_join(&servers[1]), "the servers are content");
}

int main(void)
{
	run_world(&loop, &client);
	test_deadlines();
	test_connect_deadline();
	test_cancel();
	test_cancel_between();
	test_cancel_at_once();
	test_cancel_other();
	test_start_inside();
	run_world_end(loop, client);
	return tap_done();
}
