/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of what goes out to backends: an HTTP server on loopback, in a thread of its own, that
 * answers each request as a rule says and closes the connection.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"

#define N_RULES 4
#define HANG    0 /* status: take the request and say nothing */
#define SLAM    1 /* status: close without an answer */

struct rule {
	const char *line; /* what the request begins with */
	unsigned status;
	const char *body;
	unsigned n_requests;
	char last_body[256];
};

struct server {
	int listener;
	in_port_t port;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	struct rule rules[N_RULES];
	char authorization[64]; /* of the last request */
	int hanging[64];
	size_t n_hanging;
};

UNUSED static void send_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		bytes += sent;
		n -= (size_t)sent;
	}
}

/* The request with its body, NUL-terminated; false when there was none. */
UNUSED static bool receive(int fd, char *text, size_t size)
{
	size_t n = 0, wanted = 0;

	text[0] = '\0';
	while (n + 1 < size && (wanted == 0 || n < wanted)) {
		ssize_t got = recv(fd, text + n, size - 1 - n, 0);
		const char *length, *end;

		if (got <= 0)
			return false;
		n += (size_t)got;
		text[n] = '\0';
		end = strstr(text, "\r\n\r\n");
		if (!end)
			continue;
		length = strcasestr(text, "\r\nContent-Length:");
		wanted = (size_t)(end + 4 - text);
		if (length && length < end)
			wanted += strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
	}
	return true;
}

UNUSED static void copy_line(char *out, size_t size, const char *text, const char *name)
{
	const char *at = strcasestr(text, name);
	int n = at ? (int)strcspn(at + strlen(name), "\r\n") : 0;

	(void)snprintf(out, size, "%.*s", n, at ? at + strlen(name) : "");
}

/* Under the lock. Returns false when the connection is kept to hang. */
UNUSED static bool answer(struct server *server, int fd, const char *request)
{
	static const struct rule none = {.status = 404, .body = "{}"};
	const struct rule *rule = &none;
	char head[256];

	copy_line(server->authorization, sizeof(server->authorization), request,
		  "\r\nAuthorization: ");
	for (size_t i = 0; i < N_RULES; i++) {
		struct rule *r = &server->rules[i];
		const char *body = strstr(request, "\r\n\r\n");

		if (!r->line || strncmp(request, r->line, strlen(r->line)) != 0)
			continue;
		r->n_requests++;
		(void)snprintf(r->last_body, sizeof(r->last_body), "%s", body ? body + 4 : "");
		rule = r;
		break;
	}
	if (rule->status == SLAM)
		return true;
	if (rule->status == HANG && server->n_hanging < ARRAY_SIZE(server->hanging)) {
		server->hanging[server->n_hanging++] = fd;
		return false;
	}
	(void)snprintf(head, sizeof(head),
		       "HTTP/1.1 %u X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		       rule->status, strlen(rule->body));
	send_all(fd, head, strlen(head));
	send_all(fd, rule->body, strlen(rule->body));
	return true;
}

UNUSED static void *serve(void *context)
{
	struct server *server = context;
	static _Thread_local char request[8192];
	int fd;

	while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
		bool is_done = true;

		if (receive(fd, request, sizeof(request))) {
			pthread_mutex_lock(&server->lock);
			is_done = answer(server, fd, request);
			pthread_mutex_unlock(&server->lock);
		}
		if (is_done)
			close(fd);
	}
	return NULL;
}

static void server_fail(void)
{
	printf("Bail out! no server\n");
	exit(99);
}

UNUSED static void server_listen(struct server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server->port)};
	socklen_t size = sizeof(address);
	const int on = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(server->listener, (struct sockaddr *)&address, size) < 0 ||
	    listen(server->listener, 64) < 0 ||
	    getsockname(server->listener, (struct sockaddr *)&address, &size) < 0 ||
	    pthread_create(&server->thread, NULL, serve, server) != 0)
		server_fail();
	server->port = ntohs(address.sin_port);
}

/* From here on connections are refused. */
UNUSED static void server_stop(struct server *server)
{
	if (server->listener < 0)
		return;
	(void)shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
	server->listener = -1;
	for (size_t i = 0; i < server->n_hanging; i++)
		close(server->hanging[i]);
	server->n_hanging = 0;
}

UNUSED static void server_init(struct server *server)
{
	*server = (struct server){.listener = -1};
	pthread_mutex_init(&server->lock, NULL);
	server_listen(server);
}

UNUSED static void server_done(struct server *server)
{
	server_stop(server);
	pthread_mutex_destroy(&server->lock);
}

UNUSED static void set_rule(struct server *server, size_t i, const char *line, unsigned status,
			    const char *body)
{
	pthread_mutex_lock(&server->lock);
	server->rules[i].line = line;
	server->rules[i].status = status;
	server->rules[i].body = body;
	pthread_mutex_unlock(&server->lock);
}

UNUSED static unsigned requests_of(struct server *server, size_t i)
{
	unsigned n;

	pthread_mutex_lock(&server->lock);
	n = server->rules[i].n_requests;
	pthread_mutex_unlock(&server->lock);
	return n;
}
