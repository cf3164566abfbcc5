/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The idle transfers of a client, kept for reuse. There are never more than HTTP_POOL_MAX, and
 * those that a while of traffic did not need are freed. Embedded in struct client; loop's thread.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/list.h"
#include "loop/loop.h"

#define HTTP_POOL_MAX 256

struct client;
struct http_transfer;

struct http_pool {
	struct loop *loop;
	struct list idle;
	size_t n_idle, n_unneeded; /* the least there were idle since the last trim */
	struct timer trim;
};

void http_pool_init(struct http_pool *pool, struct loop *loop);
void http_pool_done(struct http_pool *pool);
/* An idle transfer or a new one; NULL for no memory. */
struct http_transfer *http_pool_take(struct http_pool *pool, struct client *client) MUST_CHECK;
/* Cleared by the pool. */
void http_pool_give(struct http_pool *pool, struct http_transfer *t);
