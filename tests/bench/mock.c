/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mock: a chat completion backend that a gateway is measured against. One thread, one epoll; it
 * answers at once (-w: after a gap), or streams frames a fixed gap apart ("stream":true in the
 * request; the number of frames is the request's max_tokens, else -n). It prints its address and
 * runs until it is killed.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "bench_http.h"
#include "bench_socket.h"
#include "mock_reply.h"

#define N_EVENTS 256

struct mock {
	int epoll_fd, listen_fd, timer_fd;
	uint64_t gap_ns, n_default_frames;
	bool is_slow; /* plain answers come a gap later, too */
	/* Connections with a frame to come. All wait the same gap, so a FIFO is in order of time.
	 */
	struct list waiting;
};

struct connection {
	struct mock *mock;
	int fd;
	struct bench_http http;
	size_t n_request;
	char request[4096]; /* the start of the body, where the fields looked for are */
	size_t n_out;
	char out[2 * MOCK_REPLY_MAX]; /* made, but not yet taken by the socket */
	/* a stream that runs */
	struct list waiting;
	uint64_t due_ns;
	uint32_t n_frames, n_sent; /* n_frames is 0: no stream */
	char user[32];
};

static void connection_free(struct connection *connection)
{
	list_remove(&connection->waiting);
	close(connection->fd);
	free(connection);
}

static int connection_new(struct mock *mock, int fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int error;

	if (connection == NULL) {
		close(fd);
		return -ENOMEM;
	}
	connection->mock = mock;
	connection->fd = fd;
	list_init(&connection->waiting);
	bench_http_reset(&connection->http);
	error = bench_socket_watch(mock->epoll_fd, fd, connection);
	if (error < 0)
		connection_free(connection);
	return error;
}

static void wait_a_gap(struct connection *connection)
{
	struct mock *mock = connection->mock;
	uint64_t now_ns = bench_socket_now_ns();

	/* From when it was due, not from now: streams served in one batch would else stay together,
	 * and in the end all chunks would come in one burst. */
	connection->due_ns += mock->gap_ns;
	if (connection->due_ns < now_ns)
		connection->due_ns = now_ns;
	if (list_is_empty(&mock->waiting))
		bench_socket_timer_arm(mock->timer_fd, connection->due_ns);
	list_append(&mock->waiting, &connection->waiting);
}

/* What the socket does not take stays in `out`. -errno if the peer is gone. */
static int flush(struct connection *connection)
{
	ssize_t n = send(connection->fd, connection->out, connection->n_out, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	connection->n_out -= (size_t)n;
	if (connection->n_out > 0)
		memmove(connection->out, connection->out + n, connection->n_out);
	return 0;
}

/* Flushes, and comes back a gap later for what is left to send, old or new. */
static int proceed(struct connection *connection)
{
	int error = flush(connection);

	if (error < 0)
		return error;
	if (connection->n_out > 0 || connection->n_sent < connection->n_frames)
		wait_a_gap(connection);
	else
		connection->n_frames = connection->n_sent = 0;
	return 0;
}

static void add_frame(struct connection *connection)
{
	connection->n_out += mock_reply_stream_frame(connection->out + connection->n_out,
						     connection->user, ++connection->n_sent);
	if (connection->n_sent < connection->n_frames)
		return;
	connection->n_out += mock_reply_stream_end(connection->out + connection->n_out,
						   connection->user, connection->n_frames);
}

static int turn(struct connection *connection)
{
	/* A peer that does not read loses its turn, not its frame. */
	if (connection->n_out == 0)
		add_frame(connection);
	return proceed(connection);
}

static void run_due(struct mock *mock)
{
	uint64_t now_ns = bench_socket_now_ns();
	struct connection *connection;

	bench_socket_timer_drain(mock->timer_fd);
	while (!list_is_empty(&mock->waiting)) {
		connection = list_entry(mock->waiting.next, struct connection, waiting);
		if (connection->due_ns > now_ns) {
			bench_socket_timer_arm(mock->timer_fd, connection->due_ns);
			return;
		}
		list_remove(&connection->waiting);
		/* The loop then reads the end of the connection and frees it there. */
		if (turn(connection) < 0)
			shutdown(connection->fd, SHUT_RDWR);
	}
}

/* Where the value of a top-level field begins, or NULL. The bench's requests have each name once.
 */
static const char *field(const struct connection *connection, const char *name)
{
	const char *end = connection->request + connection->n_request;
	const char *at = memmem(connection->request, connection->n_request, name, strlen(name));

	if (at == NULL)
		return NULL;
	for (at += strlen(name); at < end && (*at == ' ' || *at == ':'); at++)
		;
	return at < end ? at : NULL;
}

static void read_user(struct connection *connection)
{
	const char *end = connection->request + connection->n_request;
	const char *at = field(connection, "\"user\"");
	size_t n = 0;

	if (at != NULL && *at == '"') {
		for (at++; at < end && *at != '"' && n < sizeof(connection->user) - 1; at++)
			connection->user[n++] = *at;
	}
	connection->user[n] = '\0';
}

static void start_stream(struct connection *connection)
{
	const char *n_frames = field(connection, "\"max_tokens\"");

	connection->n_sent = 0;
	connection->n_frames = (uint32_t)connection->mock->n_default_frames;
	if (n_frames != NULL)
		connection->n_frames = (uint32_t)strtoul(n_frames, NULL, 10);
	if (connection->n_frames == 0)
		connection->n_frames = 1;
	read_user(connection);
	connection->n_out = mock_reply_stream_head(connection->out);
	add_frame(connection);
}

static struct mock_reply fixed_reply(const struct connection *connection)
{
	if (strncmp(connection->http.target, "POST ", 5) == 0)
		return mock_reply_completion();
	if (strcmp(connection->http.target, "GET /v1/models") == 0)
		return mock_reply_models();
	return mock_reply_not_found();
}

static int answer(struct connection *connection)
{
	const char *stream;
	struct mock_reply reply;

	connection->request[connection->n_request] = '\0';
	connection->due_ns = bench_socket_now_ns();
	stream = field(connection, "\"stream\"");
	if (stream != NULL && *stream == 't') {
		start_stream(connection);
	} else {
		reply = fixed_reply(connection);
		memcpy(connection->out, reply.text, reply.n);
		connection->n_out = reply.n;
	}
	connection->n_request = 0;
	bench_http_reset(&connection->http);
	if (connection->n_frames == 0 && connection->mock->is_slow) {
		wait_a_gap(connection);
		return 0;
	}
	return proceed(connection);
}

static void take_body(void *context, struct bench_slice piece)
{
	struct connection *connection = context;
	size_t n_free = sizeof(connection->request) - 1 - connection->n_request;

	if (piece.n > n_free)
		piece.n = n_free;
	memcpy(connection->request + connection->n_request, piece.text, piece.n);
	connection->n_request += piece.n;
}

/* -errno when the connection is at its end. */
static int read_requests(struct connection *connection)
{
	static char buffer[65536];
	struct bench_slice input = {buffer, 0};
	ssize_t n = recv(connection->fd, buffer, sizeof(buffer), 0);
	int error = 0;

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	input.n = (size_t)n;
	while (input.n > 0 && error == 0) {
		/* Nobody here pipelines: bytes during an answer are a mistake of the peer's. */
		if (!list_is_empty(&connection->waiting))
			return -EPROTO;
		bench_http_feed(&connection->http, &input, take_body, connection);
		if (connection->http.state == BENCH_HTTP_BAD)
			return -EPROTO;
		if (connection->http.state == BENCH_HTTP_DONE)
			error = answer(connection);
	}
	return error;
}

static void accept_all(struct mock *mock)
{
	int fd;

	while ((fd = bench_socket_accept(mock->listen_fd)) >= 0) {
		if (connection_new(mock, fd) < 0)
			fputs("mock: no memory for a connection\n", stderr);
	}
	if (fd != -EAGAIN) {
		errno = -fd;
		perror("mock: accept");
	}
}

static void run(struct mock *mock)
{
	struct epoll_event events[N_EVENTS];
	int n_events;

	for (;;) {
		n_events = epoll_wait(mock->epoll_fd, events, N_EVENTS, -1);
		for (int i = 0; i < n_events; i++) {
			if (events[i].data.ptr == &mock->listen_fd)
				accept_all(mock);
			else if (events[i].data.ptr == &mock->timer_fd)
				run_due(mock);
			else if (read_requests(events[i].data.ptr) < 0)
				connection_free(events[i].data.ptr);
		}
	}
}

static int mock_init(struct mock *mock, struct sockaddr_in *address)
{
	int error;

	list_init(&mock->waiting);
	mock->listen_fd = bench_socket_listen(address);
	if (mock->listen_fd < 0)
		return mock->listen_fd;
	mock->timer_fd = bench_socket_timer();
	if (mock->timer_fd < 0)
		return mock->timer_fd;
	mock->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (mock->epoll_fd < 0)
		return -errno;
	error = bench_socket_watch(mock->epoll_fd, mock->listen_fd, &mock->listen_fd);
	if (error < 0)
		return error;
	return bench_socket_watch(mock->epoll_fd, mock->timer_fd, &mock->timer_fd);
}

static int usage(void)
{
	fputs("usage: mock [-l 127.0.0.1:PORT] [-n FRAMES] [-g GAP_MS] [-w]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct mock mock = {.n_default_frames = 10};
	struct sockaddr_in address = {0};
	const char *listen_on = "127.0.0.1:0";
	uint64_t gap_msec = 20;
	int option, error = 0;

	while ((option = getopt(argc, argv, "l:n:g:w")) != -1) {
		if (option == 'l')
			listen_on = optarg;
		else if (option == 'n')
			error |= bench_socket_number(optarg, 1, 1000000, &mock.n_default_frames);
		else if (option == 'g')
			error |= bench_socket_number(optarg, 0, 60000, &gap_msec);
		else if (option == 'w')
			mock.is_slow = true;
		else
			return usage();
	}
	error |= bench_socket_address(listen_on, &address);
	if (error < 0 || optind != argc)
		return usage();
	mock.gap_ns = gap_msec * BENCH_NS_PER_MSEC;
	bench_socket_raise_fd_limit();
	error = mock_init(&mock, &address);
	if (error < 0) {
		errno = -error;
		perror("mock");
		return 1;
	}
	printf("listening on port %u\n", ntohs(address.sin_port));
	fflush(stdout);
	run(&mock);
}
