/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/faults/calls.h"

CALL(int, socket, (int family, int type, int protocol), (family, type, protocol), -1, EMFILE)
CALL(int, socketpair, (int family, int type, int protocol, int *fds), (family, type, protocol, fds),
     -1, EMFILE)
CALL(int, accept4, (int fd, struct sockaddr *address, socklen_t *n, int flags),
     (fd, address, n, flags), -1, EMFILE)
CALL(int, bind, (int fd, const struct sockaddr *address, socklen_t n), (fd, address, n), -1,
     ENOBUFS)
CALL(int, listen, (int fd, int backlog), (fd, backlog), -1, ENOBUFS)
CALL(int, connect, (int fd, const struct sockaddr *address, socklen_t n), (fd, address, n), -1,
     ENOBUFS)
CALL(ssize_t, send, (int fd, const void *bytes, size_t n, int flags), (fd, bytes, n, flags), -1,
     ENOBUFS)
CALL(ssize_t, sendto,
     (int fd, const void *bytes, size_t n, int flags, const struct sockaddr *address,
      socklen_t address_n),
     (fd, bytes, n, flags, address, address_n), -1, ENOBUFS)
CALL(int, epoll_create1, (int flags), (flags), -1, EMFILE)
CALL(int, eventfd, (unsigned count, int flags), (count, flags), -1, EMFILE)
CALL(int, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags), -1, EMFILE)
CALL(int, pipe2, (int *fds, int flags), (fds, flags), -1, EMFILE)
CALL(pid_t, fork, (void), (), -1, EAGAIN)
CALL(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context),
     (thread, attributes, run, context), EAGAIN, 0)

int __real_epoll_ctl(int epoll_fd, int what, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int what, int fd, struct epoll_event *event);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

/* To forget a descriptor takes no memory and always succeeds. */
int __wrap_epoll_ctl(int epoll_fd, int what, int fd, struct epoll_event *event)
{
	if (what == EPOLL_CTL_DEL || !faults_due("epoll_ctl"))
		return __real_epoll_ctl(epoll_fd, what, fd, event);
	errno = ENOMEM;
	return -1;
}

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (!faults_due("open"))
		return __real_open(path, flags, mode);
	errno = EMFILE;
	return -1;
}
