/* SPDX-License-Identifier: Apache-2.0 */
#include "load_mode.h"

/* How long answers may still come when the last request of a fixed rate was due. */
#define GRACE_NS (5 * BENCH_NS_PER_SEC)

struct paced {
	struct load_connection *free;
	uint64_t n_sent, n_under_way;
};

static uint64_t end_of(const struct load_client *client)
{
	return client->start_ns + client->options->duration_ns;
}

static uint64_t next_due_ns(const struct load_client *client, uint64_t now_ns)
{
	const struct paced *paced = client->context;
	uint64_t rate = client->options->requests_per_sec;

	return rate == 0 ? now_ns : client->start_ns + paced->n_sent * BENCH_NS_PER_SEC / rate;
}

static void send_due(struct load_client *client, uint64_t now_ns)
{
	struct paced *paced = client->context;
	struct load_connection *connection;
	uint64_t due_ns;

	while ((connection = paced->free) != NULL) {
		due_ns = next_due_ns(client, now_ns);
		if (due_ns > now_ns || due_ns >= end_of(client))
			return;
		paced->free = connection->next_free;
		paced->n_sent++;
		paced->n_under_way++;
		load_client_send(connection, due_ns);
	}
}

static uint64_t end_fixed_rate(struct load_client *client, uint64_t now_ns)
{
	const struct paced *paced = client->context;
	uint64_t n_due =
		client->options->requests_per_sec * client->options->duration_ns / BENCH_NS_PER_SEC;

	if (paced->n_under_way == 0 && paced->n_sent >= n_due)
		return LOAD_CLIENT_STOP;
	if (now_ns < end_of(client) + GRACE_NS)
		return end_of(client) + GRACE_NS;
	client->n_errors += n_due - paced->n_sent + paced->n_under_way;
	return LOAD_CLIENT_STOP;
}

static uint64_t on_time(struct load_client *client, uint64_t now_ns)
{
	const struct paced *paced = client->context;
	bool closed_loop = client->options->requests_per_sec == 0;
	uint64_t due_ns;

	send_due(client, now_ns);
	if (now_ns >= end_of(client))
		return closed_loop ? LOAD_CLIENT_STOP : end_fixed_rate(client, now_ns);
	due_ns = next_due_ns(client, now_ns);
	/* With no connection free the next answer sends, not the clock. */
	if (closed_loop || paced->free == NULL || due_ns > end_of(client))
		return end_of(client);
	return due_ns;
}

static void on_done(struct load_connection *connection, bool good, uint64_t now_ns)
{
	struct load_client *client = connection->client;
	struct paced *paced = client->context;

	if (good)
		bench_histogram_record(&client->latency, now_ns - connection->start_ns);
	paced->n_under_way--;
	connection->next_free = paced->free;
	paced->free = connection;
	send_due(client, now_ns);
}

int load_paced_run(const struct load_options *options, struct load_client *client)
{
	static const struct load_mode mode = {.on_time = on_time, .on_done = on_done};
	struct paced paced = {0};
	int error = load_client_init(client, options, &mode, &paced);

	for (uint32_t i = 0; error == 0 && i < options->n_connections; i++) {
		client->connections[i].next_free = paced.free;
		paced.free = &client->connections[i];
	}
	if (error == 0)
		error = load_client_run(client);
	load_client_done(client);
	return error;
}
