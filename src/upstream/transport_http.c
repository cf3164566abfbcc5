/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/transport_http.h"

#include "base/clock.h"
#include "upstream/client_internal.h"
#include "upstream/curl_outcome.h"
#include "upstream/http_transfer.h"
#include "upstream/transport.h"

/* What a callback of libcurl returns to end the transfer. */
#define REFUSE ((size_t)0)

static struct http_transfer *from_base(struct transfer *transfer)
{
	return container_of(transfer, struct http_transfer, base);
}

static const struct http_transfer *from_const_base(const struct transfer *transfer)
{
	return container_of(transfer, const struct http_transfer, base);
}

static struct http_transfer *from_easy(CURL *easy)
{
	char *pointer = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &pointer);
	return (struct http_transfer *)(void *)pointer;
}

static void http_trace(const struct transfer *transfer, struct transfer_trace *ret_trace)
{
	http_transfer_trace(from_const_base(transfer), ret_trace);
}

/* Leaves libcurl and the loop: from here on no callback can come. */
static void detach(struct http_transfer *t)
{
	loop_timer_clear(t->client->loop, &t->deadline);
	multi_task_drop(&t->task);
	if (t->added)
		multi_remove(&t->client->multi, t->easy);
}

static void release(struct http_transfer *t)
{
	struct client *client = t->client;

	client->n_running--;
	http_pool_give(&client->pool, t);
}

static void finish(struct http_transfer *t, enum outcome outcome, const char *error)
{
	struct transfer_result result = {
		.outcome = outcome,
		.status = t->head.complete ? t->head.status : 0,
		.error = error,
	};

	http_trace(&t->base, &result.trace);
	detach(t);
	t->base.events.on_done(t->base.context, &result);
	release(t);
}

static void drop(struct http_transfer *t)
{
	detach(t);
	release(t);
}

/* Once: what is closed for it may be taken by another thread. */
static bool begin_with_room(struct http_transfer *t)
{
	if (t->made_room || !multi_make_room(&t->client->multi))
		return false;
	t->made_room = true;
	multi_remove(&t->client->multi, t->easy);
	t->added = t->lacks_file = false;
	t->error[0] = '\0';
	multi_task_want(&t->client->multi, &t->task);
	return true;
}

static void finish_lacking(struct http_transfer *t)
{
	if (!begin_with_room(t))
		finish(t, OUTCOME_CANCELLED, "no file descriptor is left for the connection");
}

static void finish_curl(struct http_transfer *t, CURLcode code)
{
	enum outcome outcome = curl_outcome(code, t->head.complete);

	if (t->failure != OUTCOME_OK)
		finish(t, t->failure, t->failure_text);
	else if (code == CURLE_COULDNT_CONNECT && t->lacks_file)
		finish_lacking(t);
	else if (code != CURLE_OK)
		finish(t, outcome, t->error[0] ? t->error : curl_easy_strerror(code));
	else if (!t->head.complete) /* libcurl takes a head that the connection's end cut off */
		finish(t, OUTCOME_RESET, "the connection was closed within the head");
	else
		finish(t, OUTCOME_OK, NULL);
}

static void on_finished(CURL *easy, CURLcode code)
{
	struct http_transfer *t = from_easy(easy);

	if (t->cancelled)
		drop(t);
	else
		finish_curl(t, code);
}

static void on_unwatched(CURL *easy)
{
	struct http_transfer *t = from_easy(easy);

	/* libcurl has handles of its own that close connections. */
	if (!t)
		return;
	t->failure = OUTCOME_CONNECT;
	t->failure_text = "the socket cannot be watched";
	multi_task_want(&t->client->multi, &t->task);
}

const struct multi_events transport_http_multi_events = {on_finished, on_unwatched};

/* The body goes there while the answer comes: as long as either moves it is alive. Nobody wants
 * more of the answer, perhaps, but that is for the backend to end by taking the rest. */
static bool is_sending(const struct http_transfer *t)
{
	return t->supply && !t->sent;
}

/* UINT64_MAX while none runs. */
static uint64_t deadline_ns(const struct http_transfer *t)
{
	if (t->starved) /* it is the backend that waits */
		return UINT64_MAX;
	if (!t->body_begun)
		return t->first_byte_timeout_ns ? t->asked_ns + t->first_byte_timeout_ns
						: UINT64_MAX;
	if (!t->idle_timeout_ns || (t->paused && !is_sending(t)))
		return UINT64_MAX;
	return (is_sending(t) && t->asked_ns > t->heard_ns ? t->asked_ns : t->heard_ns) +
	       t->idle_timeout_ns;
}

/* The timer is not moved for every byte: when it fires it looks how far the deadline has moved.
 * It looks again after an idle time even when no deadline runs, as one may begin until then. */
static int look_again(struct http_transfer *t)
{
	uint64_t due = deadline_ns(t);

	if (!t->first_byte_timeout_ns && !t->idle_timeout_ns)
		return 0;
	if (due == UINT64_MAX)
		due = loop_now_ns(t->client->loop) +
		      (t->idle_timeout_ns ? t->idle_timeout_ns : t->first_byte_timeout_ns);
	return loop_timer_set(t->client->loop, &t->deadline, due);
}

void transport_http_on_deadline(struct timer *timer)
{
	struct http_transfer *t = container_of(timer, struct http_transfer, deadline);

	if (deadline_ns(t) <= loop_now_ns(t->client->loop))
		finish(t, OUTCOME_TIMEOUT,
		       t->body_begun ? "the answer stopped coming" : "no answer in time");
	else if (look_again(t) < 0)
		finish(t, OUTCOME_TIMEOUT, "no memory for a timer");
}

static void hear(struct http_transfer *t)
{
	t->heard_ns = loop_now_ns(t->client->loop);
	if (t->body_begun)
		return;
	t->body_begun = true;
	/* From here on another deadline runs. The timer is set, and moving it cannot fail. */
	if (timer_is_set(&t->deadline))
		(void)!look_again(t);
}

static size_t refuse(struct http_transfer *t, enum outcome outcome, const char *text)
{
	t->failure = outcome;
	t->failure_text = text;
	return REFUSE;
}

static void deliver_head(struct http_transfer *t)
{
	struct header headers[RESPONSE_HEAD_MAX_HEADERS];
	struct transfer_head head;

	response_head_get(&t->head, headers, &head);
	t->base.events.on_head(t->base.context, &head);
}

size_t transport_http_on_header(char *line, size_t size, size_t n, void *context)
{
	struct http_transfer *t = context;
	size_t bytes = size * n;

	if (t->cancelled)
		return REFUSE;
	switch (response_head_line(&t->head, (struct str){line, bytes})) {
	case RESPONSE_HEAD_MORE:
		break;
	case RESPONSE_HEAD_FINAL:
		t->answered_ns = clock_monotonic_ns();
		deliver_head(t);
		break;
	case RESPONSE_HEAD_MALFORMED:
		return refuse(t, OUTCOME_PARSE, "the answer's head is malformed");
	case RESPONSE_HEAD_TOO_LARGE:
		return refuse(t, OUTCOME_PARSE, "the answer's head is too large");
	case RESPONSE_HEAD_NO_MEMORY:
		return refuse(t, OUTCOME_RESET, "no memory for the answer's head");
	}
	return t->cancelled ? REFUSE : bytes;
}

size_t transport_http_on_body(char *bytes, size_t size, size_t n, void *context)
{
	struct http_transfer *t = context;
	struct str data = {bytes, size * n};

	if (t->cancelled)
		return REFUSE;
	if (!t->head.complete) /* 101 without being asked */
		return refuse(t, OUTCOME_PARSE, "the answer has a body without a head");
	hear(t);
	if (t->paused) {
		t->held = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	t->received_bytes += data.n;
	t->base.events.on_data(t->base.context, data);
	return t->cancelled ? REFUSE : data.n;
}

size_t transport_http_on_read(char *out, size_t size, size_t n, void *context)
{
	struct http_transfer *t = context;
	ssize_t given;

	if (t->cancelled)
		return CURL_READFUNC_ABORT;
	given = t->supply(t->base.context, out, size * n);
	t->starved = given < 0;
	if (given > 0)
		t->owed_bytes -= given;
	/* It is not asked for the end of a body whose length it knows. */
	t->sent = given == 0 || t->owed_bytes == 0;
	t->asked_ns = loop_now_ns(t->client->loop);
	return t->starved ? CURL_READFUNC_PAUSE : (size_t)given;
}

/*
 * Just before the request is sent. Its body may be gone since another transfer's callback cancelled
 * this one. And libcurl sends a request that died on a reused connection again by itself: the
 * backend may have seen it, so that is an attempt of its own, for others to decide and count.
 */
int transport_http_on_request(void *context, char *remote_ip UNUSED, char *local_ip UNUSED,
			      int remote_port UNUSED, int local_port UNUSED)
{
	struct http_transfer *t = context;

	if (t->requested) {
		t->resent = true;
		refuse(t, OUTCOME_RESET, "the reused connection was closed");
	}
	t->requested = true;
#if LIBCURL_VERSION_NUM >= 0x075000
	return t->cancelled || t->resent ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
#else
	return t->cancelled || t->resent;
#endif
}

static void begin(struct http_transfer *t)
{
	if (multi_add(&t->client->multi, t->easy) < 0)
		finish(t, OUTCOME_RESET, "no memory for the transfer");
	else
		t->added = true;
}

static void go_on(struct http_transfer *t)
{
	CURLcode code;

	t->held = t->fed = false;
	code = multi_unpause(&t->client->multi, t->easy);
	if (t->cancelled)
		drop(t);
	else if (code != CURLE_OK)
		finish_curl(t, code);
}

void transport_http_on_task(struct multi_task *task)
{
	struct http_transfer *t = container_of(task, struct http_transfer, task);

	if (t->cancelled)
		drop(t);
	else if (t->failure != OUTCOME_OK)
		finish(t, t->failure, t->failure_text);
	else if (!t->added)
		begin(t);
	else if ((t->held && !t->paused) || t->fed)
		go_on(t);
}

static struct transfer *http_start(struct client *client, const struct transfer_request *request)
{
	struct http_transfer *t = http_pool_take(&client->pool, client);

	if (!t)
		return NULL;
	client->n_running++;
	t->start_ns = t->asked_ns = t->heard_ns = loop_now_ns(client->loop);
	if (http_transfer_prepare(t, request) < 0 || look_again(t) < 0) {
		release(t);
		return NULL;
	}
	multi_task_want(&client->multi, &t->task);
	return &t->base;
}

static void http_pause(struct transfer *transfer)
{
	from_base(transfer)->paused = true;
}

static void http_resume(struct transfer *transfer)
{
	struct http_transfer *t = from_base(transfer);

	if (!t->paused)
		return;
	t->paused = false;
	t->heard_ns = loop_now_ns(t->client->loop);
	if (t->held)
		multi_task_want(&t->client->multi, &t->task);
}

static void http_supply(struct transfer *transfer)
{
	struct http_transfer *t = from_base(transfer);

	if (!t->starved)
		return;
	t->starved = false;
	t->fed = true;
	t->asked_ns = t->heard_ns = loop_now_ns(t->client->loop);
	multi_task_want(&t->client->multi, &t->task);
}

static void http_cancel(struct transfer *transfer)
{
	struct http_transfer *t = from_base(transfer);

	if (!t->client->multi.inside) {
		drop(t);
		return;
	}
	/* libcurl does not let go of it from inside a callback. Until it does it must not send,
	 * as the body is not ours any more. */
	t->cancelled = true;
	loop_timer_clear(t->client->loop, &t->deadline);
	multi_task_want(&t->client->multi, &t->task);
	(void)curl_easy_pause(t->easy, CURLPAUSE_ALL);
}

const struct transport transport_http = {http_start,  http_pause, http_resume,
					 http_supply, http_trace, http_cancel};
