/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

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

static void mhd_readable(struct watch *watch, uint32_t events UNUSED)
{
	container_of(watch, struct server, mhd_watch)->mhd_ready = true;
}

/* A piece of a large answer was made in this turn: sockets are looked at before the next one. */
static bool is_resting(const struct server *server)
{
	return server->rested_ns == loop_now_ns(server->loop);
}

/* Returns for how long libmicrohttpd may wait. */
static uint64_t run_mhd(struct server *server)
{
	MHD_UNSIGNED_LONG_LONG msec = 0;

	for (int run = 0; run < RUNS_PER_TURN && msec == 0 && !is_resting(server); run++) {
		server->mhd_ready = false;
		MHD_run(server->mhd);
		if (MHD_get_timeout(server->mhd, &msec) != MHD_YES)
			return UINT64_MAX;
	}
	server->mhd_ready |= msec == 0;
	return msec * NS_PER_MSEC;
}

static uint64_t turn_end(struct hook *hook)
{
	struct server *server = container_of(hook, struct server, hook);
	uint64_t wait_ns = UINT64_MAX;

	if (is_resting(server))
		return 0;
	if (server->mhd_ready || loop_now_ns(server->loop) >= server->mhd_due_ns) {
		wait_ns = run_mhd(server);
		server->mhd_due_ns =
			wait_ns == UINT64_MAX ? UINT64_MAX : loop_now_ns(server->loop) + wait_ns;
	}
	list_for_each (node, next, &server->leaving) {
		struct connection *connection = list_entry(node, struct connection, leaving);

		list_remove(node);
		if (connection->exchange)
			exchange_client_left(connection->exchange);
		/* libmicrohttpd may have missed the end of the file: its epoll is edge-triggered,
		 * and a read that gave data has used up the edge. */
		connection_break(connection);
	}
	if (server->mhd_ready)
		return 0;
	return server->mhd_due_ns == UINT64_MAX ? UINT64_MAX
						: server->mhd_due_ns - loop_now_ns(server->loop);
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

static struct MHD_Daemon *start_mhd(struct server *server)
{
	/* Its timeout only serves against clients that stop reading; phases have their own
	 * deadlines.
	 */
	unsigned stall_sec = (unsigned)((server->limits.idle_ns + NS_PER_SEC - 1) / NS_PER_SEC);

	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
			MHD_USE_ERROR_LOG | SINGLE_THREADED,
		0, NULL, NULL, exchange_handle, server, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, connection_notify, server,
		MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, server,
		MHD_OPTION_URI_LOG_CALLBACK, exchange_uri_seen, server,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)server->max_header_bytes + POOL_BESIDE_HEAD_BYTES,
		MHD_OPTION_CONNECTION_LIMIT, 1u << 20, MHD_OPTION_CONNECTION_TIMEOUT, stall_sec,
		STRICTNESS, MHD_OPTION_END);
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
	server->limits = *limits;
	list_init(&server->connections);
	list_init(&server->acceptors);
	list_init(&server->leaving);
	server->mhd_due_ns = UINT64_MAX;
	list_init(&server->hook.node);
	server->hook.turn_end = turn_end;
	watch_init(&server->mhd_watch, mhd_readable);
	server->mhd = start_mhd(server);
	if (!server->mhd ||
	    loop_watch(server->loop, &server->mhd_watch,
		       MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
		       EPOLLIN) < 0)
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
	loop_unwatch(server->loop, &server->mhd_watch);
	/* It must not be stopped with suspended connections. */
	list_for_each (node, next, &server->connections)
		connection_wake(list_entry(node, struct connection, node));
	if (server->mhd)
		MHD_stop_daemon(server->mhd);
	free(server);
	return NULL;
}

void server_set_limits(struct server *server, const struct server_limits *limits)
{
	server->limits = *limits;
}

int server_listen(struct server *server, const struct listener *listener)
{
	return acceptor_start(server, listener);
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

		if (connection->exchange && connection->exchange->request_complete)
			server->ops->overdue(connection->exchange);
		else
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
