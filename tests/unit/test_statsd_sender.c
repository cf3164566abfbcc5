/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of packets whose receiver goes: over a real socket, on loopback. */
#include "export/statsd_sender.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/tap.h"

enum { LINE_BYTES = 100, N_LINES = 50000, PLACE = 3, BOUND_SEC = 20 };

struct run {
	struct statsd_sender sender;
	struct statsd_ledger ledger;
	struct statsd_packets packets;
	struct loop *loop;
	struct resolver *resolver;
	struct config config;
	char address[64];
	struct timer bound;
	uint64_t n_packets[STATSD_N_FATES], n_bytes[STATSD_N_FATES];
	uint64_t first_drop; /* bytes: what was rolled back */
	int error, n_reports;
	size_t n_received;
	struct watch listener, connection;
};

static struct run run;

static void counted(struct statsd_sender *sender, enum statsd_fate fate, uint64_t n_packets,
		    uint64_t n_bytes)
{
	(void)sender;
	if (fate == STATSD_DROPPED && run.n_packets[fate] == 0)
		run.first_drop = n_bytes;
	run.n_packets[fate] += n_packets;
	run.n_bytes[fate] += n_bytes;
}

static void reported(struct statsd_sender *sender, int error, const char *text)
{
	(void)sender;
	run.error = error;
	run.n_reports++;
	ok(!error == !text, "an error has a text");
	loop_stop(run.loop);
}

static void too_late(struct timer *timer)
{
	(void)timer;
	ok(false, "in time");
	loop_stop(run.loop);
}

static uint64_t sent(void)
{
	return run.ledger.sent[PLACE];
}

/* Lines for what was not sent yet, of N_LINES in all; each is one. */
static void write_lines(void)
{
	static char line[LINE_BYTES];

	memset(line, 'x', sizeof(line));
	line[LINE_BYTES - 1] = '\n';
	statsd_packets_clear(&run.packets, (size_t)run.config.statsd.max_packet);
	for (uint64_t i = sent(); i < N_LINES; i++)
		if (statsd_packets_append(&run.packets, (struct str){line, LINE_BYTES}, PLACE, 1) <
		    0)
			abort();
}

static void run_until_reported(void)
{
	int before = run.n_reports;

	if (loop_timer_set(run.loop, &run.bound, clock_monotonic_ns() + BOUND_SEC * NS_PER_SEC) < 0)
		abort();
	loop_run(run.loop);
	loop_timer_clear(run.loop, &run.bound);
	is_int(run.n_reports, before + 1, "one report");
}

static void up(void)
{
	uint64_t place;

	run = (struct run){.loop = loop_new()};
	run.resolver = run.loop ? resolver_new(run.loop) : NULL;
	if (!run.resolver)
		abort();
	run.config.statsd.max_packet = 1432;
	run.config.statsd.interval = NS_PER_SEC;
	run.config.statsd.address = run.address;
	timer_init(&run.bound, too_late);
	statsd_ledger_init(&run.ledger);
	statsd_packets_init(&run.packets);
	if (statsd_ledger_place(&run.ledger, &(struct sample){.metric = (enum metric)PLACE},
				&place) < 0)
		abort();
	run.sender = (struct statsd_sender){.loop = run.loop,
					    .ledger = &run.ledger,
					    .packets = &run.packets,
					    .counted = counted,
					    .reported = reported};
	statsd_sender_init(&run.sender, run.resolver);
}

static void down(void)
{
	statsd_sender_done(&run.sender);
	statsd_ledger_done(&run.ledger);
	statsd_packets_done(&run.packets);
	resolver_free(run.resolver);
	loop_free(run.loop);
}

/* A bound socket with small buffers; `*port` 0 is chosen. */
static int bound_socket(int type, in_port_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = *port,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(address);
	int fd = socket(AF_INET, type, 0), one = 1, small = 4096;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, n) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 1) < 0) ||
	    getsockname(fd, (struct sockaddr *)&address, &n) < 0)
		abort();
	*port = address.sin_port;
	return fd;
}

static void connection_ready(struct watch *watch, uint32_t events)
{
	char bytes[65536];
	ssize_t n = recv(watch->fd, bytes, sizeof(bytes), 0);

	(void)events;
	run.n_received += n > 0 ? (size_t)n : 0;
}

static void listener_ready(struct watch *watch, uint32_t events)
{
	int fd = accept(watch->fd, NULL, NULL);

	(void)events;
	if (fd < 0 || loop_watch(run.loop, &run.connection, fd, EPOLLIN) < 0)
		abort();
}

/* To one who listens but does not read. */
static void send_all_there_is_room_for(in_port_t port)
{
	uint64_t before;

	snprintf(run.address, sizeof(run.address), "tcp://127.0.0.1:%d", ntohs(port));
	statsd_sender_aim(&run.sender, &run.config);
	ok(statsd_sender_prepare(&run.sender), "it connects");
	write_lines();
	statsd_sender_start(&run.sender);
	do {
		before = sent();
		statsd_socket_wait(&run.sender.socket, 10);
		statsd_sender_start(&run.sender);
	} while (run.sender.socket.is_connecting || sent() > before);
	ok(sent() > 0 && sent() < N_LINES, "until there is no room");
}

/* What the kernel has taken it still brings to the old receiver. */
static void test_leaving_a_stream(void)
{
	in_port_t port = 0;
	int fd = bound_socket(SOCK_STREAM, &port);
	uint64_t rest;

	up();
	send_all_there_is_room_for(port);
	rest = run.sender.socket.rest.len;
	statsd_sender_aim(&run.sender, NULL);
	is_u64(sent(), (run.ledger.position - rest) / LINE_BYTES, "only the rest comes back");
	is_u64(run.ledger.in_flight.len, 0, "nothing is in flight");
	close(fd);
	down();
}

/* Nobody reads; then the connection is reset. */
static void test_stream(void)
{
	in_port_t port = 0;
	int fd = bound_socket(SOCK_STREAM, &port);
	uint64_t arrived;

	up();
	send_all_there_is_room_for(port);
	close(fd);
	run_until_reported();
	ok(run.error < 0, "it breaks");
	arrived = run.ledger.position - run.first_drop;
	ok(run.first_drop > 0 && arrived > 0, "in the middle");
	is_u64(sent(), arrived / LINE_BYTES, "sent is what was acknowledged in whole lines");
	is_u64(run.ledger.in_flight.len, 0, "nothing is in flight");
	ok(!statsd_sender_prepare(&run.sender), "it does not connect again at once");

	arrived = sent() * LINE_BYTES;
	fd = bound_socket(SOCK_STREAM, &port);
	watch_init(&run.listener, listener_ready);
	watch_init(&run.connection, connection_ready);
	if (loop_watch(run.loop, &run.listener, fd, EPOLLIN) < 0)
		abort();
	while (!statsd_sender_prepare(&run.sender))
		; /* a quarter of a second */
	write_lines();
	statsd_sender_start(&run.sender);
	run_until_reported();
	is_int(run.error, 0, "the rest goes out");
	is_u64(sent(), N_LINES, "all of it");
	while (run.n_received < N_LINES * LINE_BYTES - arrived)
		connection_ready(&run.connection, 0);
	is_u64(run.n_received + arrived, N_LINES * LINE_BYTES, "and arrives once");
	close(run.connection.fd);
	close(fd);
	down();
}

static void test_datagrams(void)
{
	in_port_t port = 0;
	int fd = bound_socket(SOCK_DGRAM, &port);

	up();
	snprintf(run.address, sizeof(run.address), "udp://127.0.0.1:%d", ntohs(port));
	close(fd);
	statsd_sender_aim(&run.sender, &run.config);
	ok(statsd_sender_prepare(&run.sender), "a socket");
	write_lines();
	statsd_sender_start(&run.sender);
	is_u64(run.n_packets[STATSD_SENT], 1, "one datagram first");
	is_u64(sent(), 1432 / LINE_BYTES, "which counts");
	run_until_reported();
	is_int(run.error, -ECONNREFUSED, "it is refused");
	is_u64(sent(), 0, "and counts no more");
	is_u64(run.first_drop, 1432 / LINE_BYTES * LINE_BYTES, "nor do its bytes");
	is_u64(run.n_bytes[STATSD_DROPPED], N_LINES * LINE_BYTES, "like all the others");
	down();
}

int main(void)
{
	test_stream();
	test_leaving_a_stream();
	test_datagrams();
	return tap_done();
}
