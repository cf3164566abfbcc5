/* SPDX-License-Identifier: Apache-2.0 */
#include "load_client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_EVENTS 256

#define REQUEST_HEAD                                    \
	"POST /v1/chat/completions HTTP/1.1\r\n"        \
	"Host: 127.0.0.1:%u\r\n"                        \
	"User-Agent: nexusd-bench/1\r\n"                \
	"Accept: application/json\r\n"                  \
	"Authorization: Bearer sk-bench-0123456789\r\n" \
	"Content-Type: application/json\r\n"            \
	"Content-Length: %zu\r\n\r\n"
#define STREAM_FIELDS \
	"\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_tokens\":%u,"
#define PLAIN_FIELDS "\"stream\":false,\"max_tokens\":%u,"
#define REQUEST_TAIL                                                                              \
	"\"temperature\":0.7,\"messages\":[{\"role\":\"system\",\"content\":\"You are a patient " \
	"assistant in the reading room of a public library. Answer in plain words and at most "   \
	"four "                                                                                   \
	"sentences, name a book where one helps, and say so when you do not know.\"},"            \
	"{\"role\":\"user\",\"content\":\"My daughter asked me why the sky is blue and the "      \
	"sunset is "                                                                              \
	"red. I said it has to do with the air, but I could not tell her more than that. What "   \
	"should I"                                                                                \
	" tell her tomorrow, and is there something we could try at home with a glass of "        \
	"water?\"}]}"

static void write_request(struct load_connection *connection)
{
	const struct load_options *options = connection->client->options;
	char fields[192], body[1024];
	int n_body, n;

	if (options->path) {
		n = snprintf(connection->request, sizeof(connection->request),
			     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", options->path,
			     ntohs(options->address.sin_port));
		assert(n > 0 && (size_t)n < sizeof(connection->request));
		connection->n_request = (size_t)n;
		return;
	}
	n = snprintf(fields, sizeof(fields), options->n_chunks > 0 ? STREAM_FIELDS : PLAIN_FIELDS,
		     options->n_chunks > 0 ? options->n_chunks : 256);
	assert(n > 0 && (size_t)n < sizeof(fields));
	n_body = snprintf(body, sizeof(body), "{\"model\":\"%s\",\"user\":\"%u\",%s" REQUEST_TAIL,
			  options->model, connection->index, fields);
	assert(n_body > 0 && (size_t)n_body < sizeof(body));
	n = snprintf(connection->request, sizeof(connection->request), REQUEST_HEAD "%s",
		     ntohs(options->address.sin_port), (size_t)n_body, body);
	assert(n > 0 && (size_t)n < sizeof(connection->request));
	connection->n_request = (size_t)n;
}

static int open_connection(struct load_connection *connection)
{
	const struct load_client *client = connection->client;
	int fd = bench_socket_connect(&client->options->address);
	int error;

	if (fd < 0)
		return fd;
	error = bench_socket_watch(client->epoll_fd, fd, connection);
	if (error < 0) {
		close(fd);
		return error;
	}
	connection->fd = fd;
	connection->busy = false;
	return 0;
}

static int open_all(struct load_client *client)
{
	uint32_t n = client->options->n_connections;
	int error;

	client->connections = calloc(n, sizeof(*client->connections));
	if (client->connections == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		client->connections[i] =
			(struct load_connection){.client = client, .fd = -1, .index = i};
	for (uint32_t i = 0; i < n; i++) {
		write_request(&client->connections[i]);
		error = open_connection(&client->connections[i]);
		if (error < 0)
			return error;
	}
	return 0;
}

int load_client_init(struct load_client *client, const struct load_options *options,
		     const struct load_mode *mode, void *context)
{
	int error;

	memset(client, 0, sizeof(*client));
	client->options = options;
	client->mode = mode;
	client->context = context;
	client->timer_fd = -1;
	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (client->epoll_fd < 0)
		return -errno;
	client->timer_fd = bench_socket_timer();
	if (client->timer_fd < 0)
		return client->timer_fd;
	error = bench_socket_watch(client->epoll_fd, client->timer_fd, NULL);
	return error < 0 ? error : open_all(client);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void load_client_done(struct load_client *client)
{
	for (uint32_t i = 0; client->connections != NULL && i < client->options->n_connections; i++)
		close_fd(client->connections[i].fd);
	free(client->connections);
	close_fd(client->timer_fd);
	close_fd(client->epoll_fd);
}

void load_client_send(struct load_connection *connection, uint64_t start_ns)
{
	ssize_t n;

	connection->busy = true;
	connection->start_ns = start_ns;
	connection->n_body_bytes = 0;
	bench_http_reset(&connection->http);
	n = send(connection->fd, connection->request, connection->n_request, MSG_NOSIGNAL);
	/* The loop then reads the end of the connection and fails the request from there. */
	if (n < 0 || (size_t)n < connection->n_request)
		shutdown(connection->fd, SHUT_RDWR);
}

static void reopen(struct load_connection *connection)
{
	struct load_client *client = connection->client;

	close(connection->fd);
	connection->fd = -1;
	if (open_connection(connection) < 0) {
		client->n_errors = LOAD_CLIENT_MAX_ERRORS;
		client->stopped = true;
	}
}

static void finish(struct load_connection *connection, bool good)
{
	struct load_client *client = connection->client;
	bool was_busy = connection->busy;

	connection->busy = false;
	if (!good || connection->http.closes)
		reopen(connection);
	/* To close an idle connection is the server's right, and no request. */
	if (!was_busy || client->stopped)
		return;
	if (good)
		client->n_requests++;
	else if (++client->n_errors >= LOAD_CLIENT_MAX_ERRORS)
		client->stopped = true;
	client->mode->on_done(connection, good, bench_socket_now_ns());
}

static bool is_good(const struct load_connection *connection)
{
	const struct load_mode *mode = connection->client->mode;

	return connection->http.status == 200 && connection->n_body_bytes > 0 &&
	       (mode->is_right == NULL || mode->is_right(connection));
}

static void take_body(void *context, struct bench_slice piece)
{
	struct load_connection *connection = context;
	const struct load_mode *mode = connection->client->mode;

	connection->n_body_bytes += piece.n;
	if (mode->on_body != NULL)
		mode->on_body(connection, piece);
}

static void read_answer(struct load_connection *connection)
{
	static char buffer[65536];
	struct bench_slice input = {buffer, 0};
	struct bench_http *http = &connection->http;
	ssize_t n = recv(connection->fd, buffer, sizeof(buffer), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || !connection->busy) {
		finish(connection, false);
		return;
	}
	input.n = (size_t)n;
	bench_http_feed(http, &input, take_body, connection);
	if (http->state == BENCH_HTTP_DONE)
		finish(connection, is_good(connection) && input.n == 0);
	else if (http->state == BENCH_HTTP_BAD)
		finish(connection, false);
}

/* Asks the mode what is due, and arms the timer for what comes next if that has changed. */
static void keep_time(struct load_client *client, uint64_t *armed_ns)
{
	uint64_t due_ns = client->mode->on_time(client, bench_socket_now_ns());

	if (due_ns == LOAD_CLIENT_STOP)
		client->stopped = true;
	else if (due_ns != *armed_ns)
		bench_socket_timer_arm(client->timer_fd, due_ns);
	*armed_ns = due_ns;
}

int load_client_run(struct load_client *client)
{
	struct epoll_event events[N_EVENTS];
	uint64_t armed_ns = BENCH_NEVER;
	int n_events;

	client->start_ns = bench_socket_now_ns();
	for (keep_time(client, &armed_ns); !client->stopped; keep_time(client, &armed_ns)) {
		n_events = epoll_wait(client->epoll_fd, events, N_EVENTS, -1);
		for (int i = 0; i < n_events && !client->stopped; i++) {
			if (events[i].data.ptr == NULL)
				bench_socket_timer_drain(client->timer_fd);
			else
				read_answer(events[i].data.ptr);
		}
	}
	client->end_ns = bench_socket_now_ns();
	return client->n_errors < LOAD_CLIENT_MAX_ERRORS ? 0 : -ECONNABORTED;
}
