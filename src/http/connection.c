/* SPDX-License-Identifier: Apache-2.0 */
#include "http/connection.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/config.h"

/* A request that is on its way when a stop begins: some round trips. */
#define STOP_GRACE_NS NS_PER_SEC

/* Moves the deadline. The timer is only set when it would fire too late: one that fires early looks
 * at the deadline and waits on, which spares most requests all work on the heap. */
static void set_deadline(struct connection *connection, uint64_t deadline_ns)
{
	connection->deadline_ns = deadline_ns;
	if (deadline_ns == UINT64_MAX)
		return;
	if (timer_is_set(&connection->timer) && connection->timer.due_ns <= deadline_ns)
		return;
	/* Out of memory: no deadline is better than no connection; the next phase tries again. */
	(void)!loop_timer_set(connection->server->loop, &connection->timer, deadline_ns);
}

void connection_stop_clock(struct connection *connection)
{
	uint64_t now = loop_now_ns(connection->server->loop);

	connection->left_ns = connection->deadline_ns > now ? connection->deadline_ns - now : 1;
	connection->deadline_ns = UINT64_MAX;
}

void connection_start_clock(struct connection *connection)
{
	if (connection->left_ns)
		set_deadline(connection,
			     loop_now_ns(connection->server->loop) + connection->left_ns);
	connection->left_ns = 0;
}

void connection_enter(struct connection *connection, enum connection_phase phase)
{
	const struct server_limits *limits = &connection->server->limits;
	uint64_t now = loop_now_ns(connection->server->loop);

	connection->phase = phase;
	connection->left_ns = 0;
	switch (phase) {
	case CONNECTION_IDLE:
		set_deadline(connection, now + connection->server->idle_ns);
		break;
	case CONNECTION_HEAD:
		set_deadline(connection, now + limits->head_ns);
		break;
	case CONNECTION_BODY:
		set_deadline(connection, now + limits->body_ns);
		break;
	case CONNECTION_BUSY:
		set_deadline(connection, UINT64_MAX);
		break;
	}
}

static bool is_shaking(const struct connection *connection)
{
	return connection->tls && connection->is_new;
}

/* Of TLS the first bytes are no request's. */
static bool is_idle(const struct connection *connection)
{
	return connection->phase == CONNECTION_IDLE ||
	       (connection->phase == CONNECTION_HEAD && is_shaking(connection));
}

static void end_idle(struct connection *connection)
{
	if (connection->tls)
		tls_send_last(connection->mhd, (struct str){0});
	connection_break(connection);
}

static void deadline_passed(struct connection *connection)
{
	if (connection->phase == CONNECTION_BUSY)
		return;
	if (is_idle(connection)) {
		end_idle(connection);
		return;
	}
	connection_refuse(connection, PROBLEM_REQUEST_TIMEOUT);
	connection_break(connection);
}

static void timer_fired(struct timer *timer)
{
	struct connection *connection = container_of(timer, struct connection, timer);
	struct loop *loop = connection->server->loop;

	if (connection->deadline_ns == UINT64_MAX)
		return;
	if (connection->deadline_ns > loop_now_ns(loop))
		(void)!loop_timer_set(loop, timer, connection->deadline_ns);
	else
		deadline_passed(connection);
}

/* libmicrohttpd 0.9.75 asks for more of a handshake in each turn, whether any has come or not. */
static void go_on_shaking(struct connection *connection)
{
	list_remove(&connection->shaking);
	list_append(&connection->server->shaking, &connection->shaking);
	connection_wake(connection);
}

void connection_rest(struct connection *connection)
{
	struct pollfd more = {.fd = connection->fd, .events = POLLIN | POLLRDHUP};

	if (is_shaking(connection) && (poll(&more, 1, 0) > 0 || tls_has_unread(connection->mhd)))
		return;
	list_remove(&connection->shaking);
	if (is_shaking(connection))
		connection_suspend(connection);
}

/* A handshake takes no time from a head, but once a stop has begun, none beyond its grace. */
static void begin_head(struct connection *connection)
{
	if (connection->server->closes_idle && is_shaking(connection))
		connection->phase = CONNECTION_HEAD;
	else
		connection_enter(connection, CONNECTION_HEAD);
}

/* Edge-triggered: says once that a request's first byte came, and once that the client left. */
static void peer_ready(struct watch *watch, uint32_t events)
{
	struct connection *connection = container_of(watch, struct connection, peer);

	if ((events & EPOLLIN) && connection->phase == CONNECTION_IDLE)
		begin_head(connection);
	if (is_shaking(connection))
		go_on_shaking(connection);
	if (!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) || connection->peer_gone)
		return;
	connection->peer_gone = true;
	/* Not at once: libmicrohttpd may have sent all of the reply and not have said so yet. */
	list_append(&connection->server->leaving, &connection->leaving);
	connection->engine->ready = true;
}

static struct connection *connection_new(struct server *server, const struct listener *listener,
					 const struct visitor *visitor)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	connection->server = server;
	connection->engine = &server->engines[listener->tls ? ENGINE_TLS : ENGINE_PLAIN];
	connection->tls = tls_ref(listener->tls);
	connection->fd = visitor->fd;
	connection->listener = listener;
	connection->faces = listener->faces;
	connection->is_reserved =
		visitor->place == CENSUS_RESERVED && !(listener->faces & FACE_ADMIN);
	connection->deadline_ns = UINT64_MAX;
	connection->is_new = true;
	list_init(&connection->node);
	list_init(&connection->leaving);
	list_init(&connection->shaking);
	watch_init(&connection->peer, peer_ready);
	timer_init(&connection->timer, timer_fired);
	return connection;
}

static void connection_free(struct connection *connection)
{
	struct server *server = connection->server;

	loop_unwatch(server->loop, &connection->peer);
	loop_timer_clear(server->loop, &connection->timer);
	list_remove(&connection->node);
	list_remove(&connection->leaving);
	list_remove(&connection->shaking);
	census_forget(server->census, &connection->origin);
	census_leave(server->census);
	tls_unref(connection->tls);
	free(connection->target);
	free(connection);
}

static int write_refusal(struct buf *out, enum problem problem)
{
	const struct problem_row *row = problem_row(problem);
	struct buf body;
	int r;

	buf_init(&body, 4096);
	r = problem_write(&body, problem, NULL, NULL, NULL);
	if (r == 0)
		r = buf_printf(out,
			       "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
			       "Content-Length: %zu\r\nConnection: close\r\n\r\n",
			       row->status, MHD_get_reason_phrase_for(row->status), body.len);
	if (r == 0)
		r = buf_append_str(out, buf_str(&body));
	buf_done(&body);
	return r;
}

/* Without memory, or when the client does not read, it only sees the close. */
static void send_refusal(const struct connection *connection, enum problem problem)
{
	struct buf answer;
	int r;

	buf_init(&answer, 4096);
	r = write_refusal(&answer, problem);
	if (r == 0 && !connection->tls)
		(void)!send(connection->fd, answer.data, answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	else if (r == 0 && connection->mhd)
		tls_send_last(connection->mhd, buf_str(&answer));
	buf_done(&answer);
	(void)shutdown(connection->fd, SHUT_WR);
}

/* Too many of its address are here. */
static void turn_away(struct connection *connection)
{
	struct server *server = connection->server;
	char request[4096];

	send_refusal(connection, PROBLEM_OVERLOADED);
	/* A socket that is closed with bytes unread is reset, and the refusal may be lost. */
	(void)!recv(connection->fd, request, sizeof(request), MSG_DONTWAIT);
	close(connection->fd);
	connection_free(connection);
	server->ops->crowded(server->context, CEILING_PER_ADDRESS);
}

void connection_open(struct server *server, const struct listener *listener,
		     const struct visitor *visitor)
{
	struct connection *connection = connection_new(server, listener, visitor);
	int one = 1;

	if (!connection) {
		close(visitor->fd);
		census_leave(server->census);
		return;
	}
	if (!census_admit(server->census, &visitor->address, &connection->origin)) {
		turn_away(connection);
		return;
	}
	if (visitor->place == CENSUS_RESERVED)
		server->ops->crowded(server->context, CEILING_CONNECTIONS);
	/* Frames must not wait for the client's delayed ACK; best effort. */
	if (listener->is_tcp)
		(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	server->accepting = connection;
	/* It owns the fd from here on, also when it fails; connection_notify() takes the rest. */
	if (MHD_add_connection(connection->engine->mhd, visitor->fd,
			       (const struct sockaddr *)&visitor->address,
			       visitor->bytes) != MHD_YES &&
	    server->accepting)
		connection_free(connection);
	server->accepting = NULL;
}

static bool has_unread(const struct connection *connection)
{
	int unread = 0;

	return ioctl(connection->fd, FIONREAD, &unread) == 0 && unread > 0;
}

static void connection_started(struct server *server, struct MHD_Connection *mhd,
			       void **socket_context)
{
	struct connection *connection = server->accepting;

	assert(connection);
	server->accepting = NULL;
	connection->mhd = mhd;
	*socket_context = connection;
	if (connection->tls) {
		tls_begin(connection->tls, mhd);
		list_append(&server->shaking, &connection->shaking);
	}
	list_append(&server->connections, &connection->node);
	server->n_connections++;
	server->ops->connections(server->context, 1);
	/* A client that is slow to begin has the time of a head, not of an idle connection. Without
	 * the watch it is merely noticed later that it left. */
	(void)!loop_watch(server->loop, &connection->peer, connection->fd,
			  EPOLLIN | (connection->tls ? EPOLLOUT : 0) | EPOLLRDHUP | EPOLLET);
	set_deadline(connection, loop_now_ns(server->loop) + server->limits.head_ns);
	/* libmicrohttpd may fetch what is there already before the watch can tell of it. */
	if (has_unread(connection))
		connection->phase = CONNECTION_HEAD;
}

void connection_notify(void *context, struct MHD_Connection *mhd, void **socket_context,
		       enum MHD_ConnectionNotificationCode code)
{
	struct server *server = context;
	struct connection *connection = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		connection_started(server, mhd, socket_context);
	} else if (connection) {
		*socket_context = NULL;
		server->n_connections--;
		server->ops->connections(server->context, -1);
		connection_free(connection);
	}
}

void connection_suspend(struct connection *connection)
{
	assert(!connection->suspended);
	connection->suspended = true;
	MHD_suspend_connection(connection->mhd);
}

void connection_wake(struct connection *connection)
{
	if (connection->suspended)
		MHD_resume_connection(connection->mhd);
	connection->suspended = false;
	/* libmicrohttpd drops its own wake-up in external mode. */
	connection->engine->ready = true;
	loop_again(connection->server->loop);
}

void connection_break(struct connection *connection)
{
	if (connection->exchange)
		exchange_show_cut(connection->exchange);
	/* Reads now give the end of file and writes EPIPE: both make libmicrohttpd close. */
	(void)shutdown(connection->fd, SHUT_RDWR);
	connection_wake(connection);
}

void connection_retire_all(struct server *server, const struct listener *listener)
{
	list_for_each (node, next, &server->connections) {
		struct connection *connection = list_entry(node, struct connection, node);

		if (connection->listener == listener)
			connection->listener = NULL;
	}
}

void connection_close_idle(struct connection *connection)
{
	uint64_t grace_ends_ns = loop_now_ns(connection->server->loop) + STOP_GRACE_NS;

	/* Bytes that libmicrohttpd has not fetched yet may be a whole request: serve it first. */
	if (!is_idle(connection) || has_unread(connection))
		return;
	if (!connection->is_new)
		end_idle(connection);
	else if (grace_ends_ns < connection->deadline_ns)
		set_deadline(connection, grace_ends_ns);
}

void connection_refuse(struct connection *connection, enum problem problem)
{
	struct server *server = connection->server;

	if (connection->refused)
		return;
	connection->refused = true;
	send_refusal(connection, problem);
	if (connection->exchange)
		connection->exchange->refusal = problem;
	else
		server->ops->refused(server->context, problem);
}
