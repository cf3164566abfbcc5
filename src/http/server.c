/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/acceptor.h"
#include "http/connection.h"

/* Room in a connection's pool beside the request's head: the reply's head and read-ahead. */
#define POOL_BESIDE_HEAD_BYTES 4096
/* What it sends in one run it only reports as sent in the next. */
#define RUNS_PER_TURN 2

static void PRINTF_LIKE(2, 0) mhd_log(void *context UNUSED, const char *format, va_list ap)
{
	char text[256];
	int n = vsnprintf(text, sizeof(text), format, ap);

	if (n > 0 && (size_t)n < sizeof(text) && text[n - 1] == '\n')
		text[n - 1] = '\0';
	log_debug("libmicrohttpd: %s", text);
}

/* The path is matched as it was received: nothing is decoded behind our back. */
static size_t keep_escapes(void *context UNUSED, struct MHD_Connection *mhd UNUSED, char *text)
{
	return strlen(text);
}

static void engine_readable(struct watch *watch, uint32_t events UNUSED)
{
	container_of(watch, struct engine, watch)->ready = true;
}

/* A piece of a large answer was made in this turn: sockets are looked at before the next one. */
static bool is_resting(const struct server *server)
{
	return server->rested_ns == loop_now_ns(server->loop);
}

/* Once at least: one engine must not make the other wait for good. */
static void run(const struct server *server, struct engine *engine)
{
	MHD_UNSIGNED_LONG_LONG msec;
	int n_runs = 0;

	do {
		engine->ready = false;
		MHD_run(engine->mhd);
		engine->due_ns = UINT64_MAX;
		if (MHD_get_timeout(engine->mhd, &msec) != MHD_YES)
			return;
	} while (msec == 0 && ++n_runs < RUNS_PER_TURN && !is_resting(server));
	engine->ready |= msec == 0;
	engine->due_ns = loop_now_ns(server->loop) + msec * NS_PER_MSEC;
}

static void run_engines(struct server *server)
{
	for (size_t i = 0; i < N_ENGINES; i++) {
		struct engine *engine = &server->engines[i];

		if (engine->ready || loop_now_ns(server->loop) >= engine->due_ns)
			run(server, engine);
	}
}

/* For how long the engines may wait. */
static uint64_t wait_ns(const struct server *server)
{
	uint64_t now = loop_now_ns(server->loop), due_ns = UINT64_MAX;

	for (size_t i = 0; i < N_ENGINES; i++) {
		const struct engine *engine = &server->engines[i];

		if (engine->ready || engine->due_ns <= now)
			return 0;
		if (engine->due_ns < due_ns)
			due_ns = engine->due_ns;
	}
	return due_ns == UINT64_MAX ? UINT64_MAX : due_ns - now;
}

static uint64_t turn_end(struct hook *hook)
{
	struct server *server = container_of(hook, struct server, hook);

	if (is_resting(server))
		return 0;
	run_engines(server);
	list_for_each (node, next, &server->shaking)
		connection_rest(list_entry(node, struct connection, shaking));
	list_for_each (node, next, &server->leaving) {
		struct connection *connection = list_entry(node, struct connection, leaving);

		list_remove(node);
		if (connection->exchange)
			exchange_client_left(connection->exchange);
		/* libmicrohttpd may have missed the end of the file: its epoll is edge-triggered,
		 * and a read that gave data has used up the edge. */
		connection_break(connection);
	}
	return wait_ns(server);
}

/* Libraries from 0.9.77 on hand accepted connections to a thread of their own unless told that
 * there is none. */
#if MHD_VERSION >= 0x00097707
#define SINGLE_THREADED MHD_USE_NO_THREAD_SAFETY
#else
#define SINGLE_THREADED 0
#endif

/* From 1.0 on this level refuses every head that the guard would have to find out otherwise. */
#if MHD_VERSION >= 0x01000000
#define STRICTNESS MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1
#else
#define STRICTNESS MHD_OPTION_STRICT_FOR_CLIENT, 1
#endif

static struct MHD_Daemon *start_mhd(struct server *server, bool knows_tls)
{
	struct MHD_OptionItem options[TLS_OPTIONS] = {{MHD_OPTION_END, 0, NULL}};
	/* Its timeout only serves against clients that stop reading; phases have their own
	 * deadlines.
	 */
	unsigned stall_sec = (unsigned)((server->idle_ns + NS_PER_SEC - 1) / NS_PER_SEC);

	if (knows_tls)
		tls_options(options);
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
			MHD_USE_ERROR_LOG | SINGLE_THREADED | (knows_tls ? MHD_USE_TLS : 0),
		0, NULL, NULL, exchange_handle, server, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, connection_notify, server,
		MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, server,
		MHD_OPTION_URI_LOG_CALLBACK, exchange_uri_seen, server,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)server->max_header_bytes + POOL_BESIDE_HEAD_BYTES,
		MHD_OPTION_CONNECTION_LIMIT, 1u << 20, MHD_OPTION_CONNECTION_TIMEOUT, stall_sec,
		STRICTNESS, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

static int engine_start(struct server *server, struct engine *engine)
{
	int r;

	if (engine->mhd)
		return 0;
	engine->mhd = start_mhd(server, engine == &server->engines[ENGINE_TLS]);
	if (!engine->mhd)
		return -ENOMEM;
	r = loop_watch(server->loop, &engine->watch,
		       MHD_get_daemon_info(engine->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
		       EPOLLIN);
	if (r < 0) {
		MHD_stop_daemon(engine->mhd);
		engine->mhd = NULL;
	}
	return r;
}

static void engine_stop(struct server *server, struct engine *engine)
{
	loop_unwatch(server->loop, &engine->watch);
	if (engine->mhd)
		MHD_stop_daemon(engine->mhd);
}

struct server *server_new(const struct server_options *options, const struct server_limits *limits)
{
	struct server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->loop = options->loop;
	server->ops = options->ops;
	server->context = options->context;
	server->census = options->census;
	server->max_header_bytes = options->max_header_bytes;
	server->idle_ns = options->idle_ns;
	server->limits = *limits;
	list_init(&server->connections);
	list_init(&server->acceptors);
	list_init(&server->leaving);
	list_init(&server->shaking);
	for (size_t i = 0; i < N_ENGINES; i++) {
		server->engines[i].due_ns = UINT64_MAX;
		watch_init(&server->engines[i].watch, engine_readable);
	}
	list_init(&server->hook.node);
	server->hook.turn_end = turn_end;
	if (engine_start(server, &server->engines[ENGINE_PLAIN]) < 0)
		return server_free(server);
	loop_hook_add(server->loop, &server->hook);
	return server;
}

struct server *server_free(struct server *server)
{
	if (!server)
		return NULL;
	acceptor_stop_all(server);
	loop_hook_remove(&server->hook);
	/* They must not be stopped with suspended connections. */
	list_for_each (node, next, &server->connections) {
		struct connection *connection = list_entry(node, struct connection, node);

		if (connection->exchange)
			exchange_show_cut(connection->exchange);
		connection_wake(connection);
	}
	for (size_t i = 0; i < N_ENGINES; i++)
		engine_stop(server, &server->engines[i]);
	free(server);
	return NULL;
}

void server_set_limits(struct server *server, const struct server_limits *limits)
{
	server->limits = *limits;
}

static int listen_to(struct server *server, struct listener *listener)
{
	int r = engine_start(server, &server->engines[listener->tls ? ENGINE_TLS : ENGINE_PLAIN]);

	return r < 0 ? r : acceptor_start(server, listener);
}

int server_set_listeners(struct server *server, struct listener *const *listeners, size_t n)
{
	int result = 0;

	acceptor_keep_only(server, listeners, n);
	for (size_t i = 0; i < n; i++) {
		int r = 0;

		if (!acceptor_find(server, listeners[i]))
			r = listen_to(server, listeners[i]);
		if (r < 0)
			result = r;
	}
	return result;
}

void server_retire(struct server *server)
{
	acceptor_drain_all(server);
	server->draining = true;
}

void server_drain(struct server *server)
{
	server_retire(server);
	server->closes_idle = true;
	list_for_each (node, next, &server->connections)
		connection_close_idle(list_entry(node, struct connection, node));
}

void server_hurry(struct server *server)
{
	list_for_each (node, next, &server->connections) {
		struct connection *connection = list_entry(node, struct connection, node);

		if (connection->exchange && connection->exchange->request_complete) {
			server->ops->overdue(connection->exchange);
			continue;
		}
		if (connection->exchange)
			connection_refuse(connection, PROBLEM_SHUTTING_DOWN);
		connection_break(connection);
	}
}

size_t server_connection_count(const struct server *server)
{
	return server->n_connections;
}

const char *server_library_version(void)
{
	return MHD_get_version();
}
