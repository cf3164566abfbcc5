/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's connection: its phase and deadline, and a watch of our own beside libmicrohttpd's,
 * which sees the client leave also while the connection is suspended. Internal to http/.
 */
#pragma once

#include <microhttpd.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/problem.h"
#include "http/census.h"
#include "http/exchange.h"
#include "http/listener.h"
#include "http/server.h"
#include "http/tls.h"
#include "loop/loop.h"

enum connection_phase {
	CONNECTION_IDLE, /* nothing of a request has come */
	CONNECTION_HEAD, /* its first byte has */
	CONNECTION_BODY,
	CONNECTION_BUSY, /* the request is complete, the reply under way */
};

struct connection {
	struct list node;    /* in server->connections */
	struct list leaving; /* in server->leaving once the client has left */
	struct list shaking; /* in server->shaking while more of a handshake may be there */
	struct server *server;
	struct engine *engine;
	struct MHD_Connection *mhd;
	struct tls *tls; /* a reference; NULL: plain */
	int fd;
	const struct listener *listener; /* to compare with; NULL: given up, so that the
					    connection ends with its next answer */
	unsigned faces;
	enum connection_phase phase;
	bool is_reserved; /* beyond limits.max_connections: ends with its first answer */
	bool peer_gone, refused, suspended;
	bool is_new; /* no request has begun; of TLS, the handshake may not be over */
	struct census_origin origin;
	struct watch peer;
	struct timer timer;
	uint64_t deadline_ns; /* of the phase; UINT64_MAX none. The timer may fire earlier and waits
				 on. */
	uint64_t left_ns;     /* until the deadline, while the clock stands; 0: it does not */
	char *target;         /* of the request whose head is being read */
	struct exchange *exchange;
};

/* A daemon of libmicrohttpd, which either knows TLS or does not. */
struct engine {
	struct MHD_Daemon *mhd; /* NULL: not needed so far */
	struct watch watch;
	bool ready;      /* it has something to do */
	uint64_t due_ns; /* when it wants to look at its timeouts */
};

enum { ENGINE_PLAIN, ENGINE_TLS, N_ENGINES };

/* The inside of the server, for the rest of http/. */
struct server {
	struct loop *loop;
	struct engine engines[N_ENGINES];
	struct hook hook;
	uint64_t rested_ns; /* the turn in which it has made enough: others come first */
	bool draining;      /* replies say that their connection ends */
	bool closes_idle;   /* and those that have none under way end at once */
	const struct http_ops *ops;
	void *context;
	uint64_t max_header_bytes, idle_ns;
	struct server_limits limits;
	struct list connections, acceptors, leaving, shaking;
	size_t n_connections;
	struct census *census;
	struct connection *accepting; /* while inside MHD_add_connection() */
};

/* An accepted socket, its peer and its place in the census. */
struct visitor {
	int fd;
	struct sockaddr_storage address;
	socklen_t bytes;
	enum census_place place;
};

/* The visitor becomes a connection, or is closed and its place given back. */
void connection_open(struct server *server, const struct listener *listener,
		     const struct visitor *visitor);
/* libmicrohttpd's MHD_OPTION_NOTIFY_CONNECTION. */
void connection_notify(void *server, struct MHD_Connection *mhd, void **socket_context,
		       enum MHD_ConnectionNotificationCode code);
void connection_enter(struct connection *connection, enum connection_phase phase);
/* The deadline does not come nearer while the clock stands. */
void connection_stop_clock(struct connection *connection);
void connection_start_clock(struct connection *connection);
/* Stops libmicrohttpd from calling for a reply or more of it. */
void connection_suspend(struct connection *connection);
/* There is something for it to fetch: it calls in this turn, suspended before or not. */
void connection_wake(struct connection *connection);
/* One of server->shaking, after libmicrohttpd has run: suspends it until more has come. */
void connection_rest(struct connection *connection);
/* Makes libmicrohttpd notice, whatever it is doing, that the connection is over. */
void connection_break(struct connection *connection);
/* Those of a listener that is given up end with their next answers. */
void connection_retire_all(struct server *server, const struct listener *listener);
/* Closes it if it is between requests; before its first one it has a moment to bring that. */
void connection_close_idle(struct connection *connection);
/* Answers out of turn, on the bare socket: libmicrohttpd takes no reply in mid-request. */
void connection_refuse(struct connection *connection, enum problem problem);

static inline struct connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* exchange.c's callbacks for libmicrohttpd, with the server as context */
void *exchange_uri_seen(void *server, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result exchange_handle(void *server, struct MHD_Connection *mhd, const char *url,
				const char *method, const char *version, const char *upload_data,
				size_t *upload_data_size, void **request_context);
void exchange_completed(void *server, struct MHD_Connection *mhd, void **request_context,
			enum MHD_RequestTerminationCode code);
/* The reply breaks off: resets its connection if a close would pass for its end. */
void exchange_show_cut(const struct exchange *exchange);
/* The client left; what could still be handed over to it was. */
void exchange_client_left(struct exchange *exchange);
