/* SPDX-License-Identifier: Apache-2.0 */
#include "http/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"

/* Few at a time, so that the other workers get their share of a burst. */
#define ACCEPTS_PER_TURN 4
/* How long to leave the socket alone when descriptors, memory or places are out. */
#define PAUSE_NS (100 * NS_PER_MSEC)

struct acceptor {
	struct list node; /* in server->acceptors */
	struct server *server;
	struct listener *listener; /* a reference */
	struct watch watch;
	struct timer retry;
};

/* 0, the -errno of accept4(2), or -EUSERS: every place is taken, the reserve too. */
static int accept_one(struct acceptor *acceptor)
{
	struct census *census = acceptor->server->census;
	struct visitor visitor = {.bytes = sizeof(visitor.address)};
	int r;

	visitor.place = census_enter(census, acceptor->listener->faces & FACE_ADMIN);
	if (visitor.place == CENSUS_FULL)
		return -EUSERS;
	visitor.fd = accept4(acceptor->listener->fd, (struct sockaddr *)&visitor.address,
			     &visitor.bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
	r = visitor.fd < 0 ? -errno : 0;
	if (r == 0)
		connection_open(acceptor->server, acceptor->listener, &visitor);
	else
		census_leave(census);
	return r;
}

static bool is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM ||
	       error == -EUSERS;
}

static void pause_accepting(struct acceptor *acceptor, int error)
{
	struct loop *loop = acceptor->server->loop;

	if (loop_timer_set(loop, &acceptor->retry, loop_now_ns(loop) + PAUSE_NS) < 0)
		return;
	loop_unwatch(loop, &acceptor->watch);
	log_debug("accepting on %s pauses: %s", acceptor->listener->address, strerror(-error));
}

static void acceptor_ready(struct watch *watch, uint32_t events UNUSED)
{
	struct acceptor *acceptor = container_of(watch, struct acceptor, watch);

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int r = accept_one(acceptor);

		if (is_shortage(r))
			pause_accepting(acceptor, r);
		/* ECONNABORTED and its kin concern the client that left, not the next one. */
		if (r == -EAGAIN || is_shortage(r))
			return;
	}
}

static int watch_socket(struct acceptor *acceptor)
{
	return loop_watch(acceptor->server->loop, &acceptor->watch, acceptor->listener->fd,
			  EPOLLIN | EPOLLEXCLUSIVE);
}

static void retry_due(struct timer *timer)
{
	struct acceptor *acceptor = container_of(timer, struct acceptor, retry);

	if (watch_socket(acceptor) < 0)
		pause_accepting(acceptor, -ENOMEM);
}

int acceptor_start(struct server *server, struct listener *listener)
{
	struct acceptor *acceptor = calloc(1, sizeof(*acceptor));
	int r;

	if (!acceptor)
		return -ENOMEM;
	acceptor->server = server;
	acceptor->listener = listener;
	watch_init(&acceptor->watch, acceptor_ready);
	timer_init(&acceptor->retry, retry_due);
	r = watch_socket(acceptor);
	if (r < 0) {
		free(acceptor);
		return r;
	}
	listener_ref(listener);
	list_append(&server->acceptors, &acceptor->node);
	return 0;
}

struct acceptor *acceptor_find(const struct server *server, const struct listener *listener)
{
	list_for_each (node, next, &server->acceptors) {
		struct acceptor *acceptor = list_entry(node, struct acceptor, node);

		if (acceptor->listener == listener)
			return acceptor;
	}
	return NULL;
}

static void acceptor_stop(struct acceptor *acceptor)
{
	loop_unwatch(acceptor->server->loop, &acceptor->watch);
	loop_timer_clear(acceptor->server->loop, &acceptor->retry);
	connection_retire_all(acceptor->server, acceptor->listener);
	listener_unref(acceptor->listener);
	list_remove(&acceptor->node);
	free(acceptor);
}

static void acceptor_drain(struct acceptor *acceptor)
{
	int r;

	do
		r = accept_one(acceptor);
	while (r == 0 || r == -ECONNABORTED || r == -EINTR);
	acceptor_stop(acceptor);
}

void acceptor_keep_only(struct server *server, struct listener *const *listeners, size_t n)
{
	list_for_each (node, next, &server->acceptors) {
		struct acceptor *acceptor = list_entry(node, struct acceptor, node);

		if (listeners_include(listeners, n, acceptor->listener))
			continue;
		/* It takes from the same queue. */
		if (listeners_have_address(listeners, n, acceptor->listener->address))
			acceptor_stop(acceptor);
		else
			acceptor_drain(acceptor);
	}
}

void acceptor_drain_all(struct server *server)
{
	list_for_each (node, next, &server->acceptors)
		acceptor_drain(list_entry(node, struct acceptor, node));
}

void acceptor_stop_all(struct server *server)
{
	list_for_each (node, next, &server->acceptors)
		acceptor_stop(list_entry(node, struct acceptor, node));
}
