/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP server for unit tests that does what a script says, one connection at a time, on a thread
 * of its own. Nothing in it sleeps: it waits for the other side, and a guard ends a wait that would
 * last forever.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum server_op {
	SERVER_END,
	SERVER_ACCEPT,             /* the next connection takes the place of the one before */
	SERVER_READ,               /* one request with its body */
	SERVER_SEND,               /* `text` */
	SERVER_SEND_BYTES,         /* `n` bytes that count up */
	SERVER_SEND_UNTIL_BLOCKED, /* those, until the peer takes no more or `n` are sent */
	SERVER_SEND_REMAINING,     /* what the step before left of its `n` */
	SERVER_CLOSE,
	SERVER_RESET,
	SERVER_WAIT_CLOSE, /* until the peer closes */
	SERVER_NOTIFY      /* makes notify_fd readable */
};

struct server_step {
	enum server_op op;
	const char *text;
	size_t n;
};

#define SERVER_GUARD_MSEC 20000

struct server {
	const struct server_step *script;
	int listen_fd, fd, notify_fd, end_fd;
	uint16_t port;
	pthread_t thread;
	/* Read these after server_join(). */
	char request[4096]; /* the last one, cut */
	size_t request_bytes, n_requests, n_accepted, sent;
	bool blocked;
	const char *error;
};

static bool server_wait(int fd, short events, int timeout_msec)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, timeout_msec) == 1;
}

static void server_accept(struct server *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	if (server_wait(s->listen_fd, POLLIN, SERVER_GUARD_MSEC))
		s->fd = accept(s->listen_fd, NULL, NULL);
	if (s->fd < 0)
		s->error = "nobody came";
	s->n_accepted++;
}

static size_t server_body_bytes(const char *head)
{
	const char *length = strcasestr(head, "\r\ncontent-length:");

	return length ? strtoul(length + 17, NULL, 10) : 0;
}

static void server_read(struct server *s)
{
	char piece[65536];
	size_t kept = 0, wanted = SIZE_MAX;

	s->request_bytes = 0;
	while (s->request_bytes < wanted) {
		ssize_t n = -1;
		const char *end;

		if (server_wait(s->fd, POLLIN, SERVER_GUARD_MSEC))
			n = recv(s->fd, piece, sizeof(piece), 0);
		if (n <= 0) {
			s->error = "the request did not come";
			return;
		}
		for (ssize_t i = 0; i < n && kept < sizeof(s->request) - 1; i++)
			s->request[kept++] = piece[i];
		s->request[kept] = '\0';
		s->request_bytes += (size_t)n;
		end = strstr(s->request, "\r\n\r\n");
		if (end && wanted == SIZE_MAX)
			wanted = (size_t)(end + 4 - s->request) + server_body_bytes(s->request);
	}
	s->n_requests++;
}

static void server_send(struct server *s, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(s->fd, bytes, n, MSG_NOSIGNAL);

		if (sent <= 0) {
			s->error = "the answer was not taken";
			return;
		}
		bytes += sent;
		n -= (size_t)sent;
	}
}

/* Byte i of the body is i modulo 251, so that a lost or doubled one is seen. */
static void server_send_bytes(struct server *s, size_t n, bool until_blocked)
{
	char piece[65536];

	while (s->sent < n) {
		size_t left = n - s->sent;
		ssize_t taken;

		if (until_blocked && !server_wait(s->fd, POLLOUT, 100)) {
			s->blocked = true;
			return;
		}
		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = (char)((s->sent + i) % 251);
		taken = send(s->fd, piece, left < sizeof(piece) ? left : sizeof(piece),
			     MSG_NOSIGNAL | (until_blocked ? MSG_DONTWAIT : 0));
		if (taken <= 0) {
			s->error = "the bytes were not taken";
			return;
		}
		s->sent += (size_t)taken;
	}
}

static void server_wait_close(struct server *s)
{
	char piece[65536];

	for (;;) {
		if (!server_wait(s->fd, POLLIN, SERVER_GUARD_MSEC)) {
			s->error = "the connection stayed open";
			return;
		}
		if (recv(s->fd, piece, sizeof(piece), 0) <= 0)
			return;
	}
}

static void server_close(struct server *s, bool reset)
{
	struct linger linger = {.l_onoff = reset, .l_linger = 0};

	setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(s->fd);
	s->fd = -1;
}

static void server_step(struct server *s, const struct server_step *step)
{
	uint64_t one = 1;

	switch (step->op) {
	case SERVER_ACCEPT:
		server_accept(s);
		break;
	case SERVER_READ:
		server_read(s);
		break;
	case SERVER_SEND:
		server_send(s, step->text, strlen(step->text));
		break;
	case SERVER_SEND_BYTES:
	case SERVER_SEND_REMAINING:
		server_send_bytes(s, step->n, false);
		break;
	case SERVER_SEND_UNTIL_BLOCKED:
		server_send_bytes(s, step->n, true);
		break;
	case SERVER_CLOSE:
	case SERVER_RESET:
		server_close(s, step->op == SERVER_RESET);
		break;
	case SERVER_WAIT_CLOSE:
		server_wait_close(s);
		break;
	case SERVER_NOTIFY:
		if (write(s->notify_fd, &one, sizeof(one)) < 0)
			s->error = "notify_fd";
		break;
	case SERVER_END:
		break;
	}
}

static void *server_run(void *context)
{
	struct server *s = context;
	uint64_t one = 1;

	for (const struct server_step *step = s->script; step->op && !s->error; step++)
		server_step(s, step);
	if (s->error && s->fd >= 0)
		server_close(s, true);
	if (write(s->end_fd, &one, sizeof(one)) < 0)
		abort();
	return NULL;
}

/* `script` ends with SERVER_END. */
static inline void server_start(struct server *s, const struct server_step *script)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);

	*s = (struct server){.script = script, .fd = -1};
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->notify_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->end_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (bind(s->listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(s->listen_fd, 16) < 0 ||
	    getsockname(s->listen_fd, (struct sockaddr *)&a, &n) < 0)
		abort();
	s->port = ntohs(a.sin_port);
	if (pthread_create(&s->thread, NULL, server_run, s) != 0)
		abort();
}

/* What went wrong, or NULL. */
static inline const char *server_join(struct server *s)
{
	pthread_join(s->thread, NULL);
	if (s->fd >= 0)
		close(s->fd);
	close(s->listen_fd);
	close(s->notify_fd);
	close(s->end_fd);
	return s->error;
}
