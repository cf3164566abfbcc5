/* SPDX-License-Identifier: Apache-2.0 */
#include "load_mode.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Requests at once: few, so that the server's memory shows the connections and not a crowd. */
#define N_AT_ONCE 8

struct idle {
	uint32_t n_sent, n_done;
};

static void send_next(struct load_client *client)
{
	struct idle *idle = client->context;

	if (idle->n_sent < client->options->n_connections)
		load_client_send(&client->connections[idle->n_sent++], bench_socket_now_ns());
}

static uint64_t on_time(struct load_client *client, uint64_t now_ns)
{
	const struct idle *idle = client->context;
	uint64_t end_ns = client->start_ns + client->options->duration_ns;

	while (idle->n_sent < N_AT_ONCE && idle->n_sent < client->options->n_connections)
		send_next(client);
	if (idle->n_done == client->options->n_connections)
		return LOAD_CLIENT_STOP;
	if (now_ns < end_ns)
		return end_ns;
	client->n_errors += client->options->n_connections - idle->n_done;
	return LOAD_CLIENT_STOP;
}

static void on_done(struct load_connection *connection, bool good, uint64_t now_ns)
{
	struct load_client *client = connection->client;
	struct idle *idle = client->context;

	if (good)
		bench_histogram_record(&client->latency, now_ns - connection->start_ns);
	idle->n_done++;
	send_next(client);
}

static bool is_open(const struct load_connection *connection)
{
	char byte;

	return recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void hold(struct load_client *client)
{
	char line[64];

	puts("ready");
	fflush(stdout);
	/* The end of the input tells as much as a line. */
	if (fgets(line, sizeof(line), stdin) == NULL)
		clearerr(stdin);
	for (uint32_t i = 0; i < client->options->n_connections; i++)
		client->n_errors += is_open(&client->connections[i]) ? 0 : 1;
}

int load_idle_run(const struct load_options *options, struct load_client *client)
{
	static const struct load_mode mode = {.on_time = on_time, .on_done = on_done};
	struct idle idle = {0};
	int error = load_client_init(client, options, &mode, &idle);

	if (error == 0 && options->use_once)
		error = load_client_run(client);
	if (error == 0)
		hold(client);
	load_client_done(client);
	return error;
}
