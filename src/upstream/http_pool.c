/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/http_pool.h"

#include "base/clock.h"
#include "upstream/http_transfer.h"

#define TRIM_INTERVAL_NS (10 * NS_PER_SEC)

static struct http_transfer *pop(struct http_pool *pool, struct list *node)
{
	list_remove(node);
	if (--pool->n_idle < pool->n_unneeded)
		pool->n_unneeded = pool->n_idle;
	return list_entry(node, struct http_transfer, node);
}

/* Without memory for the timer the next transfer given back asks again. */
static void want_trim(struct http_pool *pool)
{
	if (!timer_is_set(&pool->trim))
		(void)!loop_timer_set(pool->loop, &pool->trim,
				      loop_now_ns(pool->loop) + TRIM_INTERVAL_NS);
}

/* The longest idle stand in front. */
static void trim(struct timer *timer)
{
	struct http_pool *pool = container_of(timer, struct http_pool, trim);

	for (size_t n = pool->n_unneeded; n > 0; n--)
		http_transfer_free(pop(pool, pool->idle.next));
	pool->n_unneeded = pool->n_idle;
	if (pool->n_idle > 0)
		want_trim(pool);
}

void http_pool_init(struct http_pool *pool, struct loop *loop)
{
	*pool = (struct http_pool){.loop = loop};
	list_init(&pool->idle);
	timer_init(&pool->trim, trim);
}

void http_pool_done(struct http_pool *pool)
{
	loop_timer_clear(pool->loop, &pool->trim);
	while (!list_is_empty(&pool->idle))
		http_transfer_free(pop(pool, pool->idle.next));
}

struct http_transfer *http_pool_take(struct http_pool *pool, struct client *client)
{
	if (list_is_empty(&pool->idle))
		return http_transfer_new(client);
	/* The one used last is the one whose memory is warm. */
	return pop(pool, pool->idle.prev);
}

void http_pool_give(struct http_pool *pool, struct http_transfer *t)
{
	http_transfer_clear(t);
	if (pool->n_idle == HTTP_POOL_MAX) {
		http_transfer_free(t);
		return;
	}
	list_append(&pool->idle, &t->node);
	pool->n_idle++;
	want_trim(pool);
}
