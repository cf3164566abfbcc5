/* SPDX-License-Identifier: Apache-2.0 */
/* The demo backend's transport: answers made in-process, a piece a turn. */
#include "upstream/transport.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "upstream/client_internal.h"
#include "upstream/demo_answer.h"

#define PIECE_BYTES      16384
#define ANSWER_MAX_BYTES (1024 * 1024)

struct demo_transfer {
	struct transfer base;
	struct client *client;
	struct transfer_request request;
	struct demo_answer answer;
	struct buf ready; /* of the answer, not yet delivered */
	struct timer timer;
	struct multi_task task; /* stands in where there is no memory for the timer */
	uint64_t start_ns, first_byte_ns, received_bytes;
	bool head_sent, paused;
	bool busy;      /* inside an event */
	bool cancelled; /* while busy */
};

static struct demo_transfer *from_base(struct transfer *transfer)
{
	return container_of(transfer, struct demo_transfer, base);
}

/* For the next turn, not this one: other requests have their turn between two pieces. */
static void schedule(struct demo_transfer *t)
{
	struct loop *loop = t->client->loop;

	if (loop_timer_set(loop, &t->timer, loop_now_ns(loop) + 1) < 0)
		multi_task_want(&t->client->multi, &t->task);
}

static void unschedule(struct demo_transfer *t)
{
	loop_timer_clear(t->client->loop, &t->timer);
	multi_task_drop(&t->task);
}

static void release(struct demo_transfer *t)
{
	unschedule(t);
	t->client->n_running--;
	buf_done(&t->ready);
	free(t);
}

static void demo_trace(const struct transfer *transfer, struct transfer_trace *ret_trace)
{
	const struct demo_transfer *t = container_of(transfer, const struct demo_transfer, base);

	*ret_trace = (struct transfer_trace){
		.timings.first_byte = t->first_byte_ns,
		.timings.total = clock_monotonic_ns() - t->start_ns,
		.sent_bytes = t->request.body.n,
		.received_bytes = t->received_bytes,
	};
}

static void finish(struct demo_transfer *t, enum outcome outcome, const char *error)
{
	struct transfer_result result = {
		.outcome = outcome,
		.status = t->head_sent ? t->answer.status : 0,
		.error = error,
	};

	demo_trace(&t->base, &result.trace);
	unschedule(t);
	t->base.events.on_done(t->base.context, &result);
	release(t);
}

static int send_head(struct demo_transfer *t)
{
	struct str type = t->answer.stream ? STR_LITERAL("text/event-stream")
					   : STR_LITERAL("application/json");
	struct header header = {STR_LITERAL("Content-Type"), type};
	struct transfer_head head = {
		.status = t->answer.status,
		.content_type = type,
		.content_length = t->answer.stream ? -1 : (int64_t)t->ready.len,
		.headers = &header,
		.n_headers = 1,
	};

	t->head_sent = true;
	t->first_byte_ns = clock_monotonic_ns() - t->start_ns;
	t->base.events.on_head(t->base.context, &head);
	return t->cancelled ? -ECANCELED : 0;
}

static int send_piece(struct demo_transfer *t)
{
	struct str piece = buf_str(&t->ready);

	if (piece.n > PIECE_BYTES)
		piece.n = PIECE_BYTES;
	if (piece.n == 0)
		return 0;
	t->received_bytes += piece.n;
	t->base.events.on_data(t->base.context, piece);
	if (t->cancelled)
		return -ECANCELED;
	buf_consume(&t->ready, piece.n);
	return 0;
}

/* Head and first piece come together, as they do from a socket. */
static int step(struct demo_transfer *t)
{
	int r = 0;

	if (!t->head_sent) {
		r = demo_answer_begin(&t->answer, &t->request, ++t->client->n_demo_answers,
				      &t->ready);
		if (r == 0)
			r = send_head(t);
		if (r < 0 || t->paused)
			return r;
	}
	if (t->ready.len == 0 && !t->answer.whole)
		r = demo_answer_next(&t->answer, &t->ready);
	return r < 0 ? r : send_piece(t);
}

static void turn(struct demo_transfer *t)
{
	int r;

	t->busy = true;
	r = step(t);
	t->busy = false;
	if (r == -ECANCELED)
		release(t);
	else if (r < 0)
		finish(t, OUTCOME_RESET, "no memory for the answer");
	else if (t->answer.whole && t->ready.len == 0)
		finish(t, OUTCOME_OK, NULL);
	else if (!t->paused)
		schedule(t);
}

static void timer_fire(struct timer *timer)
{
	turn(container_of(timer, struct demo_transfer, timer));
}

static void task_run(struct multi_task *task)
{
	turn(container_of(task, struct demo_transfer, task));
}

static struct transfer *demo_start(struct client *client, const struct transfer_request *request)
{
	struct demo_transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->client = client;
	t->request = *request;
	t->start_ns = clock_monotonic_ns();
	buf_init(&t->ready, ANSWER_MAX_BYTES);
	timer_init(&t->timer, timer_fire);
	multi_task_init(&t->task, task_run);
	client->n_running++;
	schedule(t);
	return &t->base;
}

static void demo_pause(struct transfer *transfer)
{
	struct demo_transfer *t = from_base(transfer);

	t->paused = true;
	if (t->head_sent)
		unschedule(t);
}

static void demo_resume(struct transfer *transfer)
{
	struct demo_transfer *t = from_base(transfer);

	if (!t->paused)
		return;
	t->paused = false;
	if (!t->busy)
		schedule(t);
}

/* It answers without looking at a body that is supplied. */
static void demo_supply(struct transfer *transfer UNUSED)
{
}

static void demo_cancel(struct transfer *transfer)
{
	struct demo_transfer *t = from_base(transfer);

	if (t->busy)
		t->cancelled = true;
	else
		release(t);
}

const struct transport transport_demo = {demo_start,  demo_pause, demo_resume,
					 demo_supply, demo_trace, demo_cancel};
