/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One transfer of a unit test and what was seen of it. The loop turns until the transfer is over
 * and the scripted server, if there is one, is at its script's end.
 */
#pragma once

#include <signal.h>

#include "base/buf.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "scripted_server.h"
#include "upstream/client.h"
#include "upstream/transfer.h"

struct run;

enum run_cancel { RUN_CANCEL_NEVER, RUN_CANCEL_IN_HEAD, RUN_CANCEL_IN_DATA, RUN_CANCEL_ON_NOTIFY };

struct run {
	struct loop *loop;
	struct client *client;
	struct server *server;
	struct transfer *transfer; /* NULL once it is over */
	struct target target;
	struct transfer_request request;
	char url[64];

	enum run_cancel cancel;
	void (*on_notify)(struct run *run);
	void (*on_head)(struct run *run);
	void (*on_data)(struct run *run, struct str data);
	void (*on_done)(struct run *run);
	void (*on_later)(struct run *run);

	unsigned n_heads, n_datas, n_dones, n_after;
	bool over, server_over;
	struct transfer_result result;
	char error[300];
	unsigned head_status;
	char content_type[64], header_text[1024];
	int64_t content_length;
	size_t n_headers;
	struct buf body;
	struct watch notify, end;
	struct timer later;
};

static inline void run_stop_when_over(struct run *run)
{
	if (run->over && (!run->server || run->server_over))
		loop_stop(run->loop);
}

static inline void run_cancel(struct run *run)
{
	run->transfer = transfer_cancel(run->transfer);
	run->over = true;
	run_stop_when_over(run);
}

static inline void run_head(void *context, const struct transfer_head *head)
{
	struct run *run = context;

	run->n_after += run->over;
	run->n_heads++;
	run->head_status = head->status;
	run->content_length = head->content_length;
	run->n_headers = head->n_headers;
	snprintf(run->content_type, sizeof(run->content_type), "%.*s", (int)head->content_type.n,
		 head->content_type.p ? head->content_type.p : "");
	for (size_t i = 0; i < head->n_headers; i++) {
		const struct header *h = &head->headers[i];
		size_t used = strlen(run->header_text);

		snprintf(run->header_text + used, sizeof(run->header_text) - used, "%.*s=%.*s;",
			 (int)h->name.n, h->name.p, (int)h->value.n, h->value.p);
	}
	if (run->on_head)
		run->on_head(run);
	if (run->cancel == RUN_CANCEL_IN_HEAD)
		run_cancel(run);
}

static inline void run_data(void *context, struct str data)
{
	struct run *run = context;

	run->n_after += run->over || run->n_heads != 1 || data.n == 0 || data.n > 16384;
	run->n_datas++;
	if (run->on_data)
		run->on_data(run, data);
	else if (buf_append_str(&run->body, data) < 0)
		abort();
	if (run->cancel == RUN_CANCEL_IN_DATA)
		run_cancel(run);
}

static inline void run_done(void *context, const struct transfer_result *result)
{
	struct run *run = context;

	run->n_after += run->over;
	run->n_dones++;
	run->transfer = NULL;
	run->over = true;
	run->result = *result;
	snprintf(run->error, sizeof(run->error), "%s", result->error ? result->error : "");
	if (run->on_done)
		run->on_done(run);
	run_stop_when_over(run);
}

static const struct transfer_events run_events = {run_head, run_data, run_done};

static inline void run_notify_ready(struct watch *watch, uint32_t events UNUSED)
{
	struct run *run = container_of(watch, struct run, notify);
	uint64_t count;

	if (read(watch->fd, &count, sizeof(count)) < 0)
		abort();
	if (run->on_notify)
		run->on_notify(run);
	if (run->cancel == RUN_CANCEL_ON_NOTIFY)
		run_cancel(run);
}

static inline void run_end_ready(struct watch *watch, uint32_t events UNUSED)
{
	struct run *run = container_of(watch, struct run, end);

	loop_unwatch(run->loop, watch);
	run->server_over = true;
	run_stop_when_over(run);
}

static inline void run_later_fire(struct timer *timer)
{
	struct run *run = container_of(timer, struct run, later);

	run->on_later(run);
}

/* on_later() from the loop itself, not before `ns` from now. */
static inline void run_later(struct run *run, uint64_t ns)
{
	if (loop_timer_set(run->loop, &run->later, clock_monotonic_ns() + ns) < 0)
		abort();
}

/* A GET of "/" with deadlines that no good run meets; `server` may be NULL. */
static inline void run_init(struct run *run, struct loop *loop, struct client *client,
			    struct server *server)
{
	*run = (struct run){.loop = loop, .client = client, .server = server};
	buf_init(&run->body, 1 << 20);
	watch_init(&run->notify, run_notify_ready);
	watch_init(&run->end, run_end_ready);
	timer_init(&run->later, run_later_fire);
	run->target.url = run->url;
	run->request = (struct transfer_request){
		.target = &run->target,
		.method = "GET",
		.path = "/",
		.connect_timeout_ns = 20 * NS_PER_SEC,
		.first_byte_timeout_ns = 20 * NS_PER_SEC,
		.idle_timeout_ns = 20 * NS_PER_SEC,
	};
	if (!server)
		return;
	snprintf(run->url, sizeof(run->url), "http://127.0.0.1:%u", (unsigned)server->port);
	if (loop_watch(loop, &run->notify, server->notify_fd, EPOLLIN) < 0 ||
	    loop_watch(loop, &run->end, server->end_fd, EPOLLIN) < 0)
		abort();
}

static inline void run_start(struct run *run)
{
	run->over = false;
	run->transfer = transfer_start(run->client, &run->request, &run_events, run);
	if (!run->transfer || run->n_heads + run->n_dones > 0)
		abort();
}

/* For another start with the same server. */
static inline void run_again(struct run *run)
{
	run->n_heads = run->n_datas = run->n_dones = 0;
	run->header_text[0] = '\0';
	buf_clear(&run->body);
	run_start(run);
}

static inline bool run_body_is(const struct run *run, const char *text)
{
	return str_eq(buf_str(&run->body), str_of(text));
}

static inline void run_finish(struct run *run)
{
	loop_unwatch(run->loop, &run->notify);
	loop_unwatch(run->loop, &run->end);
	loop_timer_clear(run->loop, &run->later);
	buf_done(&run->body);
}

static inline void run_world(struct loop **ret_loop, struct client **ret_client)
{
	signal(SIGPIPE, SIG_IGN);
	alarm(120); /* a test that hangs fails */
	if (client_global_init() < 0)
		abort();
	*ret_loop = loop_new();
	*ret_client = *ret_loop ? client_new(*ret_loop) : NULL;
	if (!*ret_client)
		abort();
}

static inline void run_world_end(struct loop *loop, struct client *client)
{
	client_free(client);
	loop_free(loop);
	client_global_done();
}
