/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/multi.h"

#include <errno.h>
#include <stdint.h>

#include "base/clock.h"
#include "upstream/multi_socket.h"

/* Idle connections kept for reuse, and the most there are before one is closed on release. */
#define CONNECTIONS_MAX 256L
/* When libcurl had no memory for what it was told, it is told again. */
#define RETRY_NS (100 * NS_PER_MSEC)
/* What was idle when files ran out has mostly gone by then. */
#define SCARCITY_NS (60 * NS_PER_SEC)

/* The result is copied before the handle leaves: its removal frees the message. */
static void reap(struct multi *multi)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi->curlm, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode result = message->data.result;

		if (message->msg == CURLMSG_DONE)
			multi->events->done(easy, result);
	}
}

void multi_ready(struct multi *multi, curl_socket_t fd, int ready)
{
	CURLMcode result;
	int running;

	multi->inside = true;
	result = curl_multi_socket_action(multi->curlm, fd, ready, &running);
	multi->inside = false;
	/* It fails only for lack of memory. Without a timer the transfers' deadlines see to them.
	 */
	if (result != CURLM_OK && !timer_is_set(&multi->timer))
		(void)!loop_timer_set(multi->loop, &multi->timer, clock_monotonic_ns() + RETRY_NS);
	reap(multi);
}

static void timeout(struct multi *multi)
{
	multi->due = false;
	multi_ready(multi, CURL_SOCKET_TIMEOUT, 0);
}

static void timer_fire(struct timer *timer)
{
	timeout(container_of(timer, struct multi, timer));
}

static void want_timeout(struct multi *multi)
{
	multi->due = true;
	loop_again(multi->loop);
}

static int on_timer(CURLM *curlm UNUSED, long timeout_msec, void *context)
{
	struct multi *multi = context;

	multi->due = false;
	loop_timer_clear(multi->loop, &multi->timer);
	/* Without memory for the timer libcurl runs each turn; failing here would end them all. */
	if (timeout_msec == 0 ||
	    (timeout_msec > 0 &&
	     loop_timer_set(multi->loop, &multi->timer,
			    clock_monotonic_ns() + (uint64_t)timeout_msec * NS_PER_MSEC) < 0))
		want_timeout(multi);
	return 0;
}

void multi_task_want(struct multi *multi, struct multi_task *task)
{
	if (!list_is_empty(&task->node))
		return;
	list_append(&multi->tasks, &task->node);
	loop_again(multi->loop);
}

void multi_task_drop(struct multi_task *task)
{
	list_remove(&task->node);
}

/* What tasks put in line while they run waits for the next pass, so that no chain of failures
 * keeps the loop from its other work. */
void multi_run_tasks(struct multi *multi)
{
	struct list batch;

	if (list_is_empty(&multi->tasks))
		return;
	list_init(&batch);
	list_append(&multi->tasks, &batch);
	list_remove(&multi->tasks);
	while (!list_is_empty(&batch)) {
		struct multi_task *task = list_entry(batch.next, struct multi_task, node);

		list_remove(&task->node);
		task->run(task);
	}
}

static uint64_t turn_end(struct hook *hook)
{
	struct multi *multi = container_of(hook, struct multi, hook);

	multi_run_tasks(multi);
	if (multi->due)
		timeout(multi);
	return UINT64_MAX;
}

static void set_options(struct multi *multi)
{
	/* Known options of known types: they cannot fail. */
	curl_multi_setopt(multi->curlm, CURLMOPT_SOCKETFUNCTION, multi_socket_changed);
	curl_multi_setopt(multi->curlm, CURLMOPT_SOCKETDATA, multi);
	curl_multi_setopt(multi->curlm, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(multi->curlm, CURLMOPT_TIMERDATA, multi);
	curl_multi_setopt(multi->curlm, CURLMOPT_MAXCONNECTS, CONNECTIONS_MAX);
	curl_multi_setopt(multi->curlm, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
}

int multi_init(struct multi *multi, struct loop *loop, const struct multi_events *events)
{
	*multi = (struct multi){.loop = loop, .events = events, .hook.turn_end = turn_end};
	timer_init(&multi->timer, timer_fire);
	list_init(&multi->hook.node);
	list_init(&multi->tasks);
	multi->curlm = curl_multi_init();
	if (!multi->curlm)
		return -ENOMEM;
	set_options(multi);
	loop_hook_add(loop, &multi->hook);
	return 0;
}

void multi_done(struct multi *multi)
{
	loop_hook_remove(&multi->hook);
	/* Closes the idle connections, and with them their watches. */
	curl_multi_cleanup(multi->curlm);
	loop_timer_clear(multi->loop, &multi->timer);
	multi_socket_forget_all(multi);
}

static void set_max_connections(struct multi *multi, size_t n)
{
	multi->max_connections = n;
	curl_multi_setopt(multi->curlm, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)n);
}

/* At its maximum libcurl closes an idle connection, or lets the handle wait when there is none. It
 * must never wait: with no more handles than connections one that has none yet finds one idle. */
bool multi_make_room(struct multi *multi)
{
	size_t n = multi_socket_count(multi);

	if (n < multi->n_handles)
		return false;
	set_max_connections(multi, n);
	multi->max_connections_end = loop_now_ns(multi->loop) + SCARCITY_NS;
	return true;
}

int multi_add(struct multi *multi, CURL *easy)
{
	if (multi->max_connections && (multi->n_handles >= multi->max_connections ||
				       loop_now_ns(multi->loop) >= multi->max_connections_end))
		set_max_connections(multi, 0);
	if (curl_multi_add_handle(multi->curlm, easy) != CURLM_OK)
		return -ENOMEM;
	multi->n_handles++;
	return 0;
}

void multi_remove(struct multi *multi, CURL *easy)
{
	(void)curl_multi_remove_handle(multi->curlm, easy);
	multi->n_handles--;
}

CURLcode multi_unpause(struct multi *multi, CURL *easy)
{
	CURLcode result;

	multi->inside = true;
	result = curl_easy_pause(easy, CURLPAUSE_CONT);
	multi->inside = false;
	return result;
}
