/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: sends chat completion requests to a gateway or backend and prints one line of JSON with
 * what came of it. One thread, one epoll. The exit status is 0 if the run went to its end, errors
 * or not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load_mode.h"

#define DEFAULT_DURATION_MSEC        2000
#define DEFAULT_STREAM_DURATION_MSEC 60000

struct command {
	const char *mode;
	int (*run)(const struct load_options *options, struct load_client *client);
	uint64_t duration_msec, n_chunks, stagger_msec, rate;
	uint64_t n_connections;
};

static int usage(void)
{
	fputs("usage: load -a 127.0.0.1:PORT [-m MODEL | -p PATH] [-d MILLISECONDS] MODE\n"
	      "  [-c CONNECTIONS] [-r PER_SECOND]     plain requests: closed loop, or a fixed "
	      "rate\n"
	      "  -s STREAMS [-n CHUNKS] [-g STAGGER]  streams at once, started over STAGGER ms\n"
	      "  -i CONNECTIONS [-u]                  idle (-u: after one request each) until "
	      "told\n",
	      stderr);
	return 2;
}

static int take_mode(struct command *command, const char *mode,
		     int (*run)(const struct load_options *, struct load_client *))
{
	command->mode = mode;
	command->run = run;
	return bench_socket_number(optarg, 1, 100000, &command->n_connections);
}

static int take_option(struct command *command, struct load_options *options, int option)
{
	switch (option) {
	case 'a':
		return bench_socket_address(optarg, &options->address);
	case 'm':
		options->model = optarg;
		return strlen(optarg) < 128 ? 0 : -EINVAL;
	case 'p':
		options->path = optarg;
		return strlen(optarg) < 128 ? 0 : -EINVAL;
	case 'd':
		return bench_socket_number(optarg, 1, 3600000, &command->duration_msec);
	case 'c':
		return bench_socket_number(optarg, 1, 100000, &command->n_connections);
	case 'r':
		command->mode = "rate";
		return bench_socket_number(optarg, 1, 1000000, &command->rate);
	case 's':
		return take_mode(command, "streams", load_streams_run);
	case 'n':
		return bench_socket_number(optarg, 1, 1000000, &command->n_chunks);
	case 'g':
		return bench_socket_number(optarg, 0, 3600000, &command->stagger_msec);
	case 'i':
		return take_mode(command, "idle", load_idle_run);
	case 'u':
		options->use_once = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int parse(int argc, char **argv, struct command *command, struct load_options *options)
{
	int option, error;

	while ((option = getopt(argc, argv, "a:m:p:d:c:r:s:n:g:i:u")) != -1) {
		error = take_option(command, options, option);
		if (error < 0)
			return error;
	}
	if (optind != argc || options->address.sin_port == 0)
		return -EINVAL;
	if (command->duration_msec == 0)
		command->duration_msec = command->run == load_paced_run
						 ? DEFAULT_DURATION_MSEC
						 : DEFAULT_STREAM_DURATION_MSEC;
	options->n_connections = (uint32_t)command->n_connections;
	options->duration_ns = command->duration_msec * BENCH_NS_PER_MSEC;
	options->requests_per_sec = command->rate;
	options->stagger_ns = command->stagger_msec * BENCH_NS_PER_MSEC;
	if (command->run == load_streams_run)
		options->n_chunks = (uint32_t)command->n_chunks;
	return 0;
}

static double percentile_us(const struct load_client *client, unsigned int per_mille)
{
	return (double)bench_histogram_percentile_ns(&client->latency, per_mille) / 1e3;
}

static void report(const char *mode, const struct load_client *client)
{
	double seconds = (double)(client->end_ns - client->start_ns) / 1e9;

	printf("{\"mode\":\"%s\",\"requests\":%ju,\"errors\":%ju,\"seconds\":%.3f,\"rps\":%.1f,"
	       "\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"chunks\":%ju}\n",
	       mode, (uintmax_t)client->n_requests, (uintmax_t)client->n_errors, seconds,
	       seconds > 0 ? (double)client->n_requests / seconds : 0, percentile_us(client, 500),
	       percentile_us(client, 900), percentile_us(client, 990), (uintmax_t)client->n_chunks);
}

int main(int argc, char **argv)
{
	struct command command = {
		.mode = "closed", .run = load_paced_run, .n_connections = 1, .n_chunks = 10};
	struct load_options options = {.model = "bench"};
	static struct load_client client;
	int error;

	if (parse(argc, argv, &command, &options) < 0)
		return usage();
	bench_socket_raise_fd_limit();
	error = command.run(&options, &client);
	if (error < 0) {
		errno = -error;
		perror("load: the run ended early");
	}
	report(command.mode, &client);
	return error < 0 ? 1 : 0;
}
