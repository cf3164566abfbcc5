/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_socket.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

uint64_t bench_socket_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * BENCH_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

int bench_socket_number(const char *text, uint64_t low, uint64_t high, uint64_t *ret_number)
{
	char *end;
	unsigned long long number;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || number < low || number > high)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

int bench_socket_address(const char *text, struct sockaddr_in *ret_address)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_in address = {.sin_family = AF_INET};
	char host[INET_ADDRSTRLEN];
	uint64_t port;
	size_t n_host;

	if (colon == NULL || bench_socket_number(colon + 1, 0, UINT16_MAX, &port) < 0)
		return -EINVAL;
	n_host = (size_t)(colon - text);
	if (n_host >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, n_host);
	host[n_host] = '\0';
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return -EINVAL;
	address.sin_port = htons((uint16_t)port);
	*ret_address = address;
	return 0;
}

static void set_no_delay(int fd)
{
	int on = 1;

	/* A refusal would only make the figures worse, and they are judged by a person. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int bench_socket_listen(struct sockaddr_in *address)
{
	socklen_t n_address = sizeof(*address);
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
	    listen(fd, SOMAXCONN) < 0 ||
	    getsockname(fd, (struct sockaddr *)address, &n_address) < 0) {
		error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

int bench_socket_accept(int listen_fd)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	set_no_delay(fd);
	return fd;
}

int bench_socket_connect(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	int error;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
	    ioctl(fd, FIONBIO, &on) < 0) {
		error = errno;
		close(fd);
		return -error;
	}
	set_no_delay(fd);
	return fd;
}

int bench_socket_timer(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void bench_socket_timer_arm(int timer_fd, uint64_t due_ns)
{
	struct itimerspec when = {0};
	int failed;

	if (due_ns != BENCH_NEVER) {
		/* A value of 0 would disarm: a due time of long ago must still fire. */
		if (due_ns == 0)
			due_ns = 1;
		when.it_value.tv_sec = (time_t)(due_ns / BENCH_NS_PER_SEC);
		when.it_value.tv_nsec = (long)(due_ns % BENCH_NS_PER_SEC);
	}
	failed = timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
	assert(failed == 0);
}

void bench_socket_timer_drain(int timer_fd)
{
	uint64_t n_expired;

	/* Nothing to read is fine: the timer was armed anew meanwhile. */
	if (read(timer_fd, &n_expired, sizeof(n_expired)) < 0)
		return;
}

int bench_socket_watch(int epoll_fd, int fd, void *owner)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void bench_socket_raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}
