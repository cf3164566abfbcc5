/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both bench programs need of the system: IPv4 stream sockets without Nagle's delay, a
 * monotonic clock with a timer fd on it, the fd limit, and numbers from the command line.
 * Single-threaded; the caller owns every fd returned. Functions return 0, an fd, or -errno.
 */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/attr.h"

#define BENCH_NS_PER_SEC  1000000000ull
#define BENCH_NS_PER_MSEC 1000000ull
#define BENCH_NEVER       UINT64_MAX

uint64_t bench_socket_now_ns(void);

/* "127.0.0.1:8000"; port 0 is allowed (to listen on a free one). */
int bench_socket_address(const char *text, struct sockaddr_in *ret_address) MUST_CHECK;
int bench_socket_number(const char *text, uint64_t low, uint64_t high,
			uint64_t *ret_number) MUST_CHECK;

/* A non-blocking listening fd; *address gets the port that was really bound. */
int bench_socket_listen(struct sockaddr_in *address) MUST_CHECK;
/* A non-blocking accepted fd; -EAGAIN when nobody waits. */
int bench_socket_accept(int listen_fd) MUST_CHECK;
/* A connected non-blocking fd. The connect itself blocks: what a bench talks to is near. */
int bench_socket_connect(const struct sockaddr_in *address) MUST_CHECK;

int bench_socket_timer(void) MUST_CHECK;
/* Absolute, on the clock of bench_socket_now_ns(); BENCH_NEVER disarms. */
void bench_socket_timer_arm(int timer_fd, uint64_t due_ns);
void bench_socket_timer_drain(int timer_fd);
int bench_socket_watch(int epoll_fd, int fd, void *owner) MUST_CHECK;

/* The soft limit becomes the hard one; a failure shows later as EMFILE. */
void bench_socket_raise_fd_limit(void);
