/* SPDX-License-Identifier: Apache-2.0 */
#include "export/statsd_socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The largest packet, and how much of a talkative receiver's words is thrown away at once. */
enum { REST_MAX_BYTES = 65536, NOISE_BYTES = 4096, NOISE_MAX_BYTES = 65536 };
/* Unacknowledged for so long, a stream is dead; it bounds the connecting, too. */
enum { DEAD_MSEC = 30000 };
/* What may be under way in a stream, so that not much has to be rolled back. */
enum { SEND_BUFFER_BYTES = 262144 };

static void watch_ready(struct watch *watch, uint32_t events);

void statsd_socket_init(struct statsd_socket *socket, struct loop *loop,
			void (*ready)(struct statsd_socket *socket),
			void (*broke)(struct statsd_socket *socket, int error))
{
	*socket = (struct statsd_socket){.loop = loop, .fd = -1, .ready = ready, .broke = broke};
	watch_init(&socket->watch, watch_ready);
	buf_init(&socket->rest, REST_MAX_BYTES);
}

void statsd_socket_close(struct statsd_socket *socket)
{
	loop_unwatch(socket->loop, &socket->watch);
	if (socket->fd >= 0)
		close(socket->fd);
	socket->fd = -1;
	socket->is_connecting = false;
	buf_done(&socket->rest);
}

static void set_options(const struct statsd_socket *s)
{
	const int buffer = SEND_BUFFER_BYTES;
	const unsigned dead = DEAD_MSEC;

	/* What a kernel refuses of these is no reason to send nothing. */
	(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	if (s->transport == ENDPOINT_TCP)
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead, sizeof(dead));
}

static uint32_t wanted_events(const struct statsd_socket *socket)
{
	bool wants_room = socket->is_connecting || socket->rest.len > 0;

	return EPOLLIN | EPOLLRDHUP | (wants_room ? (uint32_t)EPOLLOUT : 0);
}

static int connect_it(struct statsd_socket *s, const struct resolver_address *address)
{
	s->noise_bytes = 0;
	if (connect(s->fd, (const struct sockaddr *)&address->socket, address->n) < 0) {
		if (errno != EINPROGRESS)
			return -errno;
		s->is_connecting = true;
	}
	if (s->transport != ENDPOINT_TCP)
		return 0;
	return loop_watch(s->loop, &s->watch, s->fd, wanted_events(s) | EPOLLOUT);
}

int statsd_socket_open(struct statsd_socket *s, enum endpoint_transport transport,
		       const struct resolver_address *address)
{
	int type = transport == ENDPOINT_TCP ? SOCK_STREAM : SOCK_DGRAM, r;

	s->transport = transport;
	s->fd = socket(address->socket.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	set_options(s);
	r = connect_it(s, address);
	if (r < 0)
		statsd_socket_close(s);
	return r;
}

int statsd_socket_error(struct statsd_socket *s)
{
	int error = 0;
	socklen_t n = sizeof(error);

	return getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 ? -errno : -error;
}

static bool is_for_later(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == EINTR;
}

static int send_some(struct statsd_socket *s, struct str bytes, size_t *ret_n)
{
	ssize_t n = send(s->fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return is_for_later(errno) ? -EAGAIN : -errno;
	*ret_n = (size_t)n;
	return 0;
}

static int send_rest(struct statsd_socket *s)
{
	size_t n = 0;
	int r = 0;

	while (s->rest.len > 0 && r == 0) {
		r = send_some(s, buf_str(&s->rest), &n);
		if (r == 0)
			buf_consume(&s->rest, n);
	}
	return r;
}

int statsd_socket_send(struct statsd_socket *s, struct str packet)
{
	size_t n = 0;
	char *room;
	int r;

	if (s->is_connecting)
		return -EAGAIN;
	if (s->transport != ENDPOINT_TCP)
		return send_some(s, packet, &n);
	r = send_rest(s);
	/* Before a byte of it is out: afterwards there must be room for the others. */
	if (r == 0)
		r = buf_reserve(&s->rest, packet.n, &room);
	if (r == 0)
		r = send_some(s, packet, &n);
	if (r == 0 && n < packet.n)
		r = buf_append(&s->rest, packet.p + n, packet.n - n);
	if (r == -EAGAIN || s->rest.len > 0) {
		int changed = loop_watch_change(s->loop, &s->watch, wanted_events(s) | EPOLLOUT);

		return changed < 0 ? changed : r;
	}
	return r;
}

size_t statsd_socket_unacknowledged(const struct statsd_socket *s)
{
	int n = 0;

	if (s->transport != ENDPOINT_TCP || s->fd < 0 || ioctl(s->fd, SIOCOUTQ, &n) < 0)
		n = 0;
	return (size_t)n + s->rest.len;
}

/* Receivers say nothing; one that does is not listened to, but for so long only. Its end is what
 * matters. */
static int read_noise(struct statsd_socket *s)
{
	char noise[NOISE_BYTES];
	ssize_t n = recv(s->fd, noise, sizeof(noise), MSG_DONTWAIT);

	if (n == 0)
		return -EPIPE;
	s->noise_bytes += n > 0 ? (size_t)n : 0;
	if (s->noise_bytes > NOISE_MAX_BYTES)
		return -EPROTO;
	return n < 0 && !is_for_later(errno) ? -errno : 0;
}

static void handle_events(struct statsd_socket *s, uint32_t events)
{
	int error = s->is_connecting ? statsd_socket_error(s) : 0;

	if (error == 0 && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		error = read_noise(s);
	if (error == 0 && (events & EPOLLOUT)) {
		s->is_connecting = false;
		error = send_rest(s);
		if (error == -EAGAIN)
			error = 0;
		else if (error == 0)
			error = loop_watch_change(s->loop, &s->watch, wanted_events(s));
	}
	if (error < 0)
		s->broke(s, error);
	else if (events & EPOLLOUT)
		s->ready(s);
}

static void watch_ready(struct watch *watch, uint32_t events)
{
	handle_events(container_of(watch, struct statsd_socket, watch), events);
}

void statsd_socket_wait(struct statsd_socket *s, int msec)
{
	struct pollfd poll_fd = {.fd = s->fd, .events = POLLIN};

	if (s->is_connecting || s->rest.len > 0)
		poll_fd.events |= POLLOUT;
	/* The bits of poll(2) and epoll(7) are the same. */
	if (poll(&poll_fd, 1, msec) > 0 && s->transport == ENDPOINT_TCP)
		handle_events(s, (uint32_t)poll_fd.revents);
}
