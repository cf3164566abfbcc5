/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of the load generator: N keep-alive connections in one epoll loop, each with one chat
 * request that it sends again and again. *When* a request is sent and what is done with its answer
 * is the business of a mode (load_mode.h). A connection that fails counts an error and is opened
 * anew. Single-threaded; the client owns its connections.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench_histogram.h"
#include "bench_http.h"
#include "bench_socket.h"

/* More failures than this and the run ends: what is measured then is no proxy at work. */
#define LOAD_CLIENT_MAX_ERRORS 1000
/* Returned by a mode's on_time: the run is over. */
#define LOAD_CLIENT_STOP 0

struct load_client;

struct load_connection {
	struct load_client *client;
	struct load_connection *next_free; /* for the mode's own use */
	int fd;
	bool busy; /* a request is under way */
	uint32_t index;
	uint64_t start_ns; /* latency counts from here */
	uint64_t n_body_bytes;
	struct bench_http http;
	size_t n_request;
	char request[1536];
};

struct load_options {
	struct sockaddr_in address;
	const char *model;
	const char *path; /* GET it instead of asking the model; or NULL */
	uint32_t n_connections;
	uint64_t duration_ns;
	uint64_t requests_per_sec; /* 0: as fast as answers come */
	uint32_t n_chunks;         /* 0: plain answers, else streams of so many chunks */
	uint64_t stagger_ns;       /* streams are started spread over this time */
	bool use_once;             /* idle connections send one request before they fall silent */
};

struct load_mode {
	/* Called at the start and whenever its last answer has come: the next time, BENCH_NEVER or
	 * LOAD_CLIENT_STOP. */
	uint64_t (*on_time)(struct load_client *client, uint64_t now_ns);
	/* A request ended; the connection is open and idle. `good`: status 200, a complete body,
	 * and is_right had nothing against it. */
	void (*on_done)(struct load_connection *connection, bool good, uint64_t now_ns);
	/* These two may be NULL. */
	void (*on_body)(struct load_connection *connection, struct bench_slice piece);
	bool (*is_right)(const struct load_connection *connection);
};

struct load_client {
	const struct load_options *options;
	const struct load_mode *mode;
	void *context; /* the mode's */
	int epoll_fd, timer_fd;
	struct load_connection *connections;
	uint64_t start_ns, end_ns;
	uint64_t n_requests, n_errors, n_chunks;
	bool stopped;
	struct bench_histogram latency;
};

/* Opens all connections. On failure load_client_done() is still to be called. */
int load_client_init(struct load_client *client, const struct load_options *options,
		     const struct load_mode *mode, void *context) MUST_CHECK;
void load_client_done(struct load_client *client);

/* `start_ns` is when the request should have been sent. A failure to send comes back as on_done. */
void load_client_send(struct load_connection *connection, uint64_t start_ns);
/* Until on_time says stop (0), or -ECONNABORTED after too many errors. */
int load_client_run(struct load_client *client) MUST_CHECK;
