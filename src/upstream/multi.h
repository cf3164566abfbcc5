/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One libcurl multi handle driven by one loop: its sockets are watched, its timeout is a timer, and
 * finished handles are reported from outside of libcurl. Embedded in struct client; loop's thread.
 *
 * libcurl refuses nearly every call on the multi from inside its callbacks. So work that may come
 * up there is a task: it runs at the end of the turn, never inside libcurl.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/attr.h"
#include "base/list.h"
#include "loop/loop.h"

struct multi_socket;

struct multi_events {
	/* The handle is finished: remove it. Never from inside libcurl. */
	void (*done)(CURL *easy, CURLcode result);
	/* The handle's socket cannot be watched, so it would hang. From inside libcurl. */
	void (*unwatched)(CURL *easy);
};

struct multi {
	struct loop *loop;
	CURLM *curlm;
	const struct multi_events *events;
	struct hook hook;
	struct timer timer;
	bool due;    /* libcurl wants to run at the end of this turn */
	bool inside; /* a callback of libcurl may be running */
	struct list tasks;
	struct multi_socket **sockets; /* by fd */
	size_t n_sockets;
	size_t spared_files; /* see client_spare_files() */
	size_t n_handles;
	size_t max_connections;       /* that libcurl may have, 0: any number */
	uint64_t max_connections_end; /* when it may have more again */
};

struct multi_task {
	struct list node; /* of multi->tasks while it is wanted */
	void (*run)(struct multi_task *task);
};

/* -ENOMEM. `events` is static. */
int multi_init(struct multi *multi, struct loop *loop,
	       const struct multi_events *events) MUST_CHECK;
/* Closes the connections. No handle may be in it. Safe after a failed multi_init(). */
void multi_done(struct multi *multi);

/* Not inside libcurl, as multi_remove() and multi_unpause(). -ENOMEM. */
int multi_add(struct multi *multi, CURL *easy) MUST_CHECK;
/* Closes the handle's connection unless its answer was complete. */
void multi_remove(struct multi *multi, CURL *easy);
/* No file was left for the connection of a handle, which is still in. From here on, for a while,
 * the connection that has been idle for the longest is closed before another is opened; false when
 * none is idle. Not inside libcurl. */
bool multi_make_room(struct multi *multi) MUST_CHECK;
/* Delivers what was held while paused, then goes on receiving. */
CURLcode multi_unpause(struct multi *multi, CURL *easy) MUST_CHECK;

static inline void multi_task_init(struct multi_task *task, void (*run)(struct multi_task *task))
{
	list_init(&task->node);
	task->run = run;
}
/* Once, however often it is asked for before it runs. */
void multi_task_want(struct multi *multi, struct multi_task *task);
/* Now instead of at the end of the turn; not inside libcurl. */
void multi_run_tasks(struct multi *multi);
/* Safe when it is not wanted. */
void multi_task_drop(struct multi_task *task);
/* What multi_socket.c calls when a watched socket is ready: CURL_CSELECT_* bits. */
void multi_ready(struct multi *multi, curl_socket_t fd, int ready);
