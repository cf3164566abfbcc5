/* SPDX-License-Identifier: Apache-2.0 */
#include "load_mode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What has been seen of one stream. */
struct stream {
	struct bench_line line;
	char id[48]; /* every event's start */
	uint32_t n_frames;
	bool finish_reason, usage, done, wrong;
};

struct streams {
	struct stream *streams; /* of the connection with the same index */
	uint32_t n_started, n_ended;
};

static struct stream *stream_of(const struct load_connection *connection)
{
	struct streams *streams = connection->client->context;

	return &streams->streams[connection->index];
}

static uint64_t start_due_ns(const struct load_client *client, uint32_t index)
{
	return client->start_ns +
	       client->options->stagger_ns * index / client->options->n_connections;
}

static uint64_t on_time(struct load_client *client, uint64_t now_ns)
{
	struct streams *streams = client->context;
	uint32_t n = client->options->n_connections;
	uint64_t end_ns = client->start_ns + client->options->duration_ns;

	while (streams->n_started < n && start_due_ns(client, streams->n_started) <= now_ns)
		load_client_send(&client->connections[streams->n_started++], now_ns);
	if (streams->n_ended == n)
		return LOAD_CLIENT_STOP;
	if (now_ns >= end_ns) {
		client->n_errors += n - streams->n_ended;
		return LOAD_CLIENT_STOP;
	}
	return streams->n_started < n ? start_due_ns(client, streams->n_started) : end_ns;
}

static const char *find(struct bench_slice text, const char *what)
{
	return memmem(text.text, text.n, what, strlen(what));
}

static void take_content(struct load_client *client, struct stream *stream, const char *number)
{
	client->n_chunks++;
	/* The line ends in a brace, so strtoul stops inside it. */
	if (strtoul(number, NULL, 10) != ++stream->n_frames)
		stream->wrong = true;
}

static bool is_own_event(const struct stream *stream, struct bench_slice data)
{
	size_t n_id = strlen(stream->id);

	return data.n > n_id && memcmp(data.text, stream->id, n_id) == 0 &&
	       data.text[data.n - 1] == '}';
}

static void take_event(struct load_client *client, struct stream *stream, struct bench_slice data)
{
	static const char content[] = "\"content\":\"";
	const char *at;

	if (!stream->done && data.n == 6 && memcmp(data.text, "[DONE]", 6) == 0)
		stream->done = true;
	else if (stream->done || !is_own_event(stream, data))
		stream->wrong = true;
	else if ((at = find(data, content)) != NULL)
		take_content(client, stream, at + sizeof(content) - 1);
	else if (find(data, "\"finish_reason\":\"stop\"") != NULL)
		stream->finish_reason = true;
	else if (find(data, "\"usage\":{") != NULL)
		stream->usage = true;
}

static void on_body(struct load_connection *connection, struct bench_slice piece)
{
	static const char field[] = "data: ";
	const size_t n_field = sizeof(field) - 1;
	struct load_client *client = connection->client;
	struct stream *stream = stream_of(connection);
	struct bench_slice line;

	if (connection->n_body_bytes == piece.n)
		bench_histogram_record(&client->latency,
				       bench_socket_now_ns() - connection->start_ns);
	while (bench_line_take(&stream->line, &piece, &line)) {
		if (line.n < n_field || memcmp(line.text, field, n_field) != 0)
			continue;
		line = (struct bench_slice){line.text + n_field, line.n - n_field};
		take_event(client, stream, line);
	}
}

static bool is_right(const struct load_connection *connection)
{
	const struct stream *stream = stream_of(connection);

	return !stream->wrong && stream->finish_reason && stream->usage && stream->done &&
	       stream->n_frames == connection->client->options->n_chunks;
}

static void on_done(struct load_connection *connection, bool good, uint64_t now_ns)
{
	struct streams *streams = connection->client->context;

	(void)good;
	(void)now_ns;
	streams->n_ended++;
}

int load_streams_run(const struct load_options *options, struct load_client *client)
{
	static const struct load_mode mode = {
		.on_time = on_time, .on_done = on_done, .on_body = on_body, .is_right = is_right};
	struct streams streams = {0};
	int error = load_client_init(client, options, &mode, &streams);

	if (error == 0) {
		streams.streams = calloc(options->n_connections, sizeof(*streams.streams));
		error = streams.streams == NULL ? -ENOMEM : 0;
	}
	for (uint32_t i = 0; error == 0 && i < options->n_connections; i++)
		snprintf(streams.streams[i].id, sizeof(streams.streams[i].id),
			 "{\"id\":\"chatcmpl-%u\",", i);
	if (error == 0)
		error = load_client_run(client);
	load_client_done(client);
	free(streams.streams);
	return error;
}
