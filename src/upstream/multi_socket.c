/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/multi_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "upstream/multi.h"

enum { RECEIVE_BUFFER_BYTES = 256 * 1024 };

struct multi_socket {
	struct watch watch;
	struct multi *multi;
	curl_socket_t fd;
	uint64_t inode;   /* of the file that it is about: the number may be another one's by now */
	uint32_t wanted;  /* what libcurl waits for, 0 between requests */
	uint32_t watched; /* what epoll waits for */
	bool opened; /* by multi_socket_open(), so its closing will be seen, too, once connected */
};

/* 0: there is no such file. Not fstat(), by which ThreadSanitizer holds a file to be used: it may
 * be another thread's. */
static uint64_t inode_of(curl_socket_t fd)
{
	struct statx file;

	return statx(fd, "", AT_EMPTY_PATH, STATX_INO, &file) == 0 ? file.stx_ino : 0;
}

/* libcurl 7.88 closes a socket that is not connected yet by itself, and tells afterwards that it
 * does not wait for it. */
static bool was_closed_unseen(const struct multi_socket *s)
{
	return inode_of(s->fd) != s->inode;
}

static struct multi_socket *find(const struct multi *multi, curl_socket_t fd)
{
	return (size_t)fd < multi->n_sockets ? multi->sockets[fd] : NULL;
}

static void unwatch(struct multi_socket *s)
{
	if (was_closed_unseen(s))
		loop_strike(s->multi->loop, &s->watch);
	else
		loop_unwatch(s->multi->loop, &s->watch);
	s->watched = 0;
}

static void forget(struct multi *multi, curl_socket_t fd)
{
	struct multi_socket *s = find(multi, fd);

	if (!s)
		return;
	unwatch(s);
	multi->sockets[fd] = NULL;
	free(s);
}

void multi_socket_forget_all(struct multi *multi)
{
	for (size_t fd = 0; fd < multi->n_sockets; fd++)
		forget(multi, (curl_socket_t)fd);
	free(multi->sockets);
	multi->sockets = NULL;
	multi->n_sockets = 0;
}

static void socket_ready(struct watch *watch, uint32_t events)
{
	struct multi_socket *s = container_of(watch, struct multi_socket, watch);
	int ready = 0;

	if (!s->wanted) {
		/* Between requests: closed by the peer, or bytes nobody asked for. libcurl looks
		 * at the connection itself before it uses it again. */
		unwatch(s);
		return;
	}
	/* An error is found by reading: CURL_CSELECT_ERR alone would hide which one it is. */
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		ready |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		ready |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		ready |= CURL_CSELECT_ERR;
	multi_ready(s->multi, s->fd, ready);
}

static int grow(struct multi *multi, size_t fd)
{
	size_t n = multi->n_sockets ? multi->n_sockets : 64;
	struct multi_socket **sockets;

	while (n <= fd)
		n *= 2;
	sockets = reallocarray(multi->sockets, n, sizeof(struct multi_socket *));
	if (!sockets)
		return -ENOMEM;
	for (size_t i = multi->n_sockets; i < n; i++)
		sockets[i] = NULL;
	multi->sockets = sockets;
	multi->n_sockets = n;
	return 0;
}

static struct multi_socket *add(struct multi *multi, curl_socket_t fd)
{
	struct multi_socket *s;

	if ((size_t)fd >= multi->n_sockets && grow(multi, (size_t)fd) < 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	watch_init(&s->watch, socket_ready);
	s->multi = multi;
	s->fd = fd;
	s->inode = inode_of(fd);
	multi->sockets[fd] = s;
	return s;
}

/* The kernel would let a backend fill megabytes (net.ipv4.tcp_rmem) for a client that does not
 * read: no more than what a fast answer needs. The kernel may give less or twice as much. */
static void bound_receive_buffer(int fd)
{
	(void)!setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){RECEIVE_BUFFER_BYTES}, sizeof(int));
}

/* The kernel gives the lowest number that is free: one of the last tells that few are left. */
static bool is_spared(const struct multi *multi, int fd)
{
	struct rlimit files;
	uint64_t n = multi->spared_files;

	if (n == 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return false;
	if (n > files.rlim_cur / 4)
		n = files.rlim_cur / 4;
	return (uint64_t)fd >= files.rlim_cur - n;
}

int multi_socket_open(struct multi *multi, const struct curl_sockaddr *address)
{
	int type = address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK;
	int fd = socket(address->family, type, address->protocol);
	struct multi_socket *s;

	if (fd < 0)
		return -errno;
	if (is_spared(multi, fd)) {
		close(fd);
		return -EMFILE;
	}
	forget(multi, fd); /* of a socket that was closed unseen */
	s = add(multi, fd);
	if (!s) {
		close(fd);
		return -ENOMEM;
	}
	s->opened = true;
	bound_receive_buffer(fd);
	return fd;
}

size_t multi_socket_count(struct multi *multi)
{
	size_t n = 0;

	for (size_t fd = 0; fd < multi->n_sockets; fd++) {
		struct multi_socket *s = multi->sockets[fd];

		if (s && !s->wanted && was_closed_unseen(s))
			forget(multi, (curl_socket_t)fd);
		else if (s && s->opened)
			n++;
	}
	return n;
}

int multi_socket_close(void *multi, curl_socket_t fd)
{
	forget(multi, fd);
	return close(fd);
}

static int watch_for(struct multi_socket *s, uint32_t wanted)
{
	int r;

	s->wanted = wanted;
	if (s->watched == wanted)
		return 0;
	if (s->watched)
		r = loop_watch_change(s->multi->loop, &s->watch, wanted);
	else
		r = loop_watch(s->multi->loop, &s->watch, s->fd, wanted);
	if (r == 0)
		s->watched = wanted;
	return r;
}

int multi_socket_changed(CURL *easy, curl_socket_t fd, int wanted, void *context,
			 void *unused UNUSED)
{
	struct multi *multi = context;
	struct multi_socket *s = find(multi, fd);
	uint32_t events = 0;

	if (wanted == CURL_POLL_REMOVE || wanted == CURL_POLL_NONE) {
		if (s && s->opened)
			s->wanted = 0;
		else
			forget(multi, fd);
		return 0;
	}
	if (s && !s->wanted && was_closed_unseen(s)) {
		forget(multi, fd);
		s = NULL;
	}
	if (wanted & CURL_POLL_IN)
		events |= EPOLLIN;
	if (wanted & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (!s)
		s = add(multi, fd);
	/* -1 would end all transfers of the multi for the trouble of one. */
	if (!s || watch_for(s, events) < 0)
		multi->events->unwatched(easy);
	return 0;
}
