/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/census.h"
#include "http/server.h"
#include "upstream/client.h"

/* After a crowd of at least so many connections has mostly gone, and this long after. */
#define TRIM_CROWD    256
#define TRIM_DELAY_NS (500 * NS_PER_MSEC)

struct worker {
	struct worker_inputs in;
	pthread_t thread;
	bool has_thread;
	struct loop *loop;
	struct mailbox *mailbox;
	struct client *client;
	struct api *api;
	struct server *server;
	struct hook hook;
	struct timer beat;
	struct timer trim;
	size_t crowd; /* most connections since the last trim */
	struct slab *slab;
	const struct series *lag;
	uint64_t turns; /* of the loop, observed in `lag` */
	bool draining, reported;
	struct mail drain_mail, retire_mail, hurry_mail; /* to the worker */
	struct mail table_mail;                          /* the same, again and again */
	_Atomic bool table_is_posted;
	struct mail stopped_accepting_mail, drained_mail; /* to main */
};

/* To the worker, and back to main. */
struct listeners_mail {
	struct mail mail;
	struct worker *worker;
	size_t n;
	struct listener *listeners[]; /* a reference to each, until the worker has them */
};

static struct server_limits limits_of(const struct config *config)
{
	return (struct server_limits){
		.max_body_bytes = config->limits.max_body,
		.head_ns = config->timeouts.head,
		.body_ns = config->timeouts.body,
	};
}

static void beat(struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, beat);

	/* The timer that has just fired left room in the heap: this cannot fail. */
	(void)!loop_timer_set(worker->loop, timer, loop_now_ns(worker->loop) + worker->in.beat_ns);
}

static void stopped_accepting_delivered(struct mail *mail)
{
	struct worker *worker = container_of(mail, struct worker, stopped_accepting_mail);

	worker->in.stopped_accepting(worker->in.context);
}

static void drained_delivered(struct mail *mail)
{
	struct worker *worker = container_of(mail, struct worker, drained_mail);

	worker->in.drained(worker->in.context);
}

static void trim(struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, trim);

	/* glibc keeps what small pieces leave free, for good: a burst must not be remembered. */
	malloc_trim(0);
	worker->crowd = server_connection_count(worker->server);
}

static void watch_crowd(struct worker *worker)
{
	size_t n = server_connection_count(worker->server);

	if (n > worker->crowd)
		worker->crowd = n;
	else if (worker->crowd >= TRIM_CROWD && n < worker->crowd / 4 &&
		 !timer_is_set(&worker->trim))
		/* Without memory for a timer the next turn tries again. */
		(void)!loop_timer_set(worker->loop, &worker->trim,
				      loop_now_ns(worker->loop) + TRIM_DELAY_NS);
}

/* Once a turn, however often the hooks run in it: of the one before. */
static void observe_lag(struct worker *worker)
{
	uint64_t turns = loop_heartbeat(worker->loop);

	if (turns == worker->turns)
		return;
	worker->turns = turns;
	slab_observe(worker->slab, worker->lag, loop_last_turn_ns(worker->loop));
}

static uint64_t turn_end(struct hook *hook)
{
	struct worker *worker = container_of(hook, struct worker, hook);

	watch_crowd(worker);
	observe_lag(worker);
	if (worker->draining && !worker->reported && server_connection_count(worker->server) == 0) {
		worker->reported = true;
		mailbox_post(worker->in.main, &worker->drained_mail);
	}
	return UINT64_MAX;
}

static void table_delivered(struct mail *mail)
{
	struct worker *worker = container_of(mail, struct worker, table_mail);
	struct server_limits limits;

	/* Before looking for it: one that comes later has its own mail. */
	(void)atomic_exchange_explicit(&worker->table_is_posted, false, memory_order_acq_rel);
	limits = limits_of(api_take_route_table(worker->api)->config);
	if (worker->server)
		server_set_limits(worker->server, &limits);
}

static void listeners_set_delivered(struct mail *mail)
{
	struct listeners_mail *set = container_of(mail, struct listeners_mail, mail);
	struct worker *worker = set->worker;

	free(set);
	worker->in.listeners_set(worker->in.context);
}

static void listeners_delivered(struct mail *mail)
{
	struct listeners_mail *set = container_of(mail, struct listeners_mail, mail);
	struct worker *worker = set->worker;
	bool is_serving = worker->server && !worker->draining;

	if (is_serving && server_set_listeners(worker->server, set->listeners, set->n) < 0)
		log_error("no memory for a listener; a worker does not accept from it");
	for (size_t i = 0; i < set->n; i++)
		listener_unref(set->listeners[i]);
	if (worker->server) {
		mail->deliver = listeners_set_delivered;
		mailbox_post(worker->in.main, mail);
	} else {
		free(set);
	}
}

static void take_nothing_new(struct worker *worker)
{
	if (!worker->draining)
		mailbox_post(worker->in.main, &worker->stopped_accepting_mail);
	worker->draining = true;
}

static void drain_delivered(struct mail *mail)
{
	struct worker *worker = container_of(mail, struct worker, drain_mail);

	if (!worker->server)
		return;
	server_drain(worker->server);
	take_nothing_new(worker);
}

static void retire_delivered(struct mail *mail)
{
	struct worker *worker = container_of(mail, struct worker, retire_mail);

	if (!worker->server)
		return;
	server_retire(worker->server);
	take_nothing_new(worker);
}

static void hurry_delivered(struct mail *mail)
{
	struct worker *worker = container_of(mail, struct worker, hurry_mail);

	if (worker->server)
		server_hurry(worker->server);
}

static void *run(void *context)
{
	struct worker *worker = context;

	loop_run(worker->loop);
	return NULL;
}

static int build_api(struct worker *worker)
{
	struct api_inputs inputs = {
		.loop = worker->loop,
		.mailbox = worker->mailbox,
		.client = worker->client,
		.registry = worker->in.registry,
		.history = worker->in.history,
		.statsd = worker->in.statsd,
		.slab = worker->slab,
		.queue = worker->in.queue,
		.lifecycle = worker->in.lifecycle,
		.control = worker->in.control,
		.steps = worker->in.steps,
		.n_steps = worker->in.n_steps,
	};

	if (worker->slab)
		worker->api = api_new(&inputs);
	if (!worker->api)
		return -ENOMEM;
	if (api_expect_route_table(worker->api) < 0)
		return -ENOMEM;
	api_offer_route_table(worker->api, worker->in.table);
	(void)api_take_route_table(worker->api);
	return 0;
}

static int build_server(struct worker *worker)
{
	const struct config *config = worker->in.table->config;
	struct server_options options = {
		.loop = worker->loop,
		.ops = &api_ops,
		.context = worker->api,
		.census = worker->in.census,
		.max_header_bytes = config->limits.max_header,
		.idle_ns = config->timeouts.idle,
	};
	struct server_limits limits = limits_of(config);

	worker->server = server_new(&options, &limits);
	if (!worker->server)
		return -ENOMEM;
	return server_set_listeners(worker->server, worker->in.listeners, worker->in.n_listeners);
}

/* The server comes first at the end of a turn, so that what it reads is sent on in the same one. */
static int build(struct worker *worker)
{
	int r;

	worker->loop = loop_new();
	if (!worker->loop || !(worker->mailbox = mailbox_new(worker->loop)) ||
	    !(worker->client = client_new(worker->loop)))
		return -ENOMEM;
	/* For the reserve and the admin face; FILES_BESIDE of reload.c counts them. */
	client_spare_files(worker->client, 2 * CENSUS_RESERVE);
	worker->slab = registry_slab_new(worker->in.registry);
	worker->lag = registry_series(worker->in.registry, METRIC_EVENT_LOOP_LAG, NULL);
	r = build_api(worker);
	if (r == 0)
		r = build_server(worker);
	if (r == 0 && worker->in.beat_ns)
		r = loop_timer_set(worker->loop, &worker->beat,
				   loop_now_ns(worker->loop) + worker->in.beat_ns);
	if (r < 0)
		return r;
	loop_hook_add(worker->loop, &worker->hook);
	r = -pthread_create(&worker->thread, NULL, run, worker);
	worker->has_thread = r == 0;
	return r;
}

struct worker *worker_new(const struct worker_inputs *inputs)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int r;

	if (!worker)
		return NULL;
	worker->in = *inputs;
	list_init(&worker->hook.node);
	worker->hook.turn_end = turn_end;
	timer_init(&worker->beat, beat);
	timer_init(&worker->trim, trim);
	worker->table_mail.deliver = table_delivered;
	worker->drain_mail.deliver = drain_delivered;
	worker->retire_mail.deliver = retire_delivered;
	worker->hurry_mail.deliver = hurry_delivered;
	worker->stopped_accepting_mail.deliver = stopped_accepting_delivered;
	worker->drained_mail.deliver = drained_delivered;
	r = build(worker);
	if (r == 0)
		return worker;
	worker_free(worker);
	errno = -r;
	return NULL;
}

void worker_stop(struct worker *worker)
{
	if (!worker->has_thread)
		return;
	loop_stop(worker->loop);
	pthread_join(worker->thread, NULL);
	worker->has_thread = false;
}

struct worker *worker_free(struct worker *worker)
{
	if (!worker)
		return NULL;
	worker_stop(worker);
	loop_hook_remove(&worker->hook);
	if (worker->loop) {
		loop_timer_clear(worker->loop, &worker->beat);
		loop_timer_clear(worker->loop, &worker->trim);
	}
	worker->server = server_free(worker->server);
	/* After the server: until then waiters may name its requests. */
	mailbox_free(worker->mailbox);
	api_free(worker->api);
	client_free(worker->client);
	loop_free(worker->loop);
	free(worker);
	return NULL;
}

int worker_expect_route_table(struct worker *worker)
{
	return api_expect_route_table(worker->api);
}

void worker_set_route_table(struct worker *worker, struct route_table *table)
{
	api_offer_route_table(worker->api, table);
	if (!atomic_exchange_explicit(&worker->table_is_posted, true, memory_order_acq_rel))
		mailbox_post(worker->mailbox, &worker->table_mail);
}

int worker_set_listeners(struct worker *worker, struct listener *const *listeners, size_t n)
{
	struct listeners_mail *set = malloc(sizeof(*set) + n * sizeof(struct listener *));

	if (!set)
		return -ENOMEM;
	*set = (struct listeners_mail){
		.mail.deliver = listeners_delivered,
		.worker = worker,
		.n = n,
	};
	for (size_t i = 0; i < n; i++)
		set->listeners[i] = listener_ref(listeners[i]);
	mailbox_post(worker->mailbox, &set->mail);
	return 0;
}

void worker_drain(struct worker *worker)
{
	mailbox_post(worker->mailbox, &worker->drain_mail);
}

void worker_retire(struct worker *worker)
{
	mailbox_post(worker->mailbox, &worker->retire_mail);
}

void worker_hurry(struct worker *worker)
{
	mailbox_post(worker->mailbox, &worker->hurry_mail);
}

uint64_t worker_heartbeat(const struct worker *worker)
{
	return loop_heartbeat(worker->loop);
}
