/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses without making a loop wait: getaddrinfo(3) runs on a thread of its own, which
 * the first question starts, and answers come back on the loop's thread. Everything here is for
 * that thread.
 */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/str.h"
#include "loop/loop.h"

enum { RESOLVER_MAX_ADDRESSES = 128, RESOLVER_MAX_WAITING = 64, RESOLVER_HOST_BYTES = 256 };

struct resolver_address {
	struct sockaddr_storage socket;
	socklen_t n;
};

struct resolver_answer {
	int error; /* of getaddrinfo(3), for gai_strerror(3); 0: there is at least one address */
	size_t n;
	struct resolver_address addresses[RESOLVER_MAX_ADDRESSES]; /* best first */
};

struct resolver;
struct resolver_query;

/* NULL for no memory or no descriptor. */
struct resolver *resolver_new(struct loop *loop) MUST_CHECK;
/* Nothing is answered any more. Does not wait for a name that is being looked up. Accepts NULL,
 * returns NULL. */
struct resolver *resolver_free(struct resolver *resolver);

/* An address that is written in digits, at once. False for a name. */
bool resolver_numeric(struct str host, struct str port, struct resolver_answer *ret_answer);

/*
 * `answered` is called once, unless cancelled before, and `*ret_query` is no more then; the answer
 * lives as long as the call. -ENOMEM, -EAGAIN: no thread, or too many questions are waiting;
 * -EINVAL: too long.
 */
int resolver_ask(struct resolver *resolver, struct str host, struct str port,
		 void (*answered)(void *context, const struct resolver_answer *answer),
		 void *context, struct resolver_query **ret_query) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct resolver_query *resolver_cancel(struct resolver_query *query);
