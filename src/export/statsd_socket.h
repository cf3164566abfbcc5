/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket to the receiver, which never blocks. Datagrams go out one by one and not by
 * sendmmsg(2), which forgets the error that tells of the datagram before. A stream takes packets
 * whole: what the kernel has no room for waits here, at most one packet. For the loop's thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"
#include "config/endpoint.h"
#include "loop/loop.h"
#include "loop/resolver.h"

struct statsd_socket {
	struct loop *loop;
	int fd; /* -1: closed */
	enum endpoint_transport transport;
	bool is_connecting;
	struct watch watch; /* of a stream */
	struct buf rest;    /* of a packet that a stream took in part */
	size_t noise_bytes; /* that a stream's receiver said */
	/* A stream's: there may be room now; it broke, -errno. */
	void (*ready)(struct statsd_socket *socket);
	void (*broke)(struct statsd_socket *socket, int error);
};

void statsd_socket_init(struct statsd_socket *socket, struct loop *loop,
			void (*ready)(struct statsd_socket *socket),
			void (*broke)(struct statsd_socket *socket, int error));
/* -errno; it is closed then. A stream is connecting afterwards. */
int statsd_socket_open(struct statsd_socket *socket, enum endpoint_transport transport,
		       const struct resolver_address *address) MUST_CHECK;
/* Safe when closed. */
void statsd_socket_close(struct statsd_socket *socket);
static inline bool statsd_socket_is_open(const struct statsd_socket *socket)
{
	return socket->fd >= 0;
}

/* 0: taken. -EAGAIN: later; anything else means the end of this socket, and of a UDP one that the
 * datagram before was refused, or that this one cannot be sent. */
int statsd_socket_send(struct statsd_socket *socket, struct str packet) MUST_CHECK;
/* What happened to datagrams that were taken: 0 or -errno, told once. */
int statsd_socket_error(struct statsd_socket *socket) MUST_CHECK;
/* Bytes of a stream that its receiver's kernel has not acknowledged. */
size_t statsd_socket_unacknowledged(const struct statsd_socket *socket);
/* Waits so long, at most, for something to happen to it, and lets it happen; only where the loop
 * does not run any more. */
void statsd_socket_wait(struct statsd_socket *socket, int msec);
