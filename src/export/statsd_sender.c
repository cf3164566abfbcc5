/* SPDX-License-Identifier: Apache-2.0 */
#include "export/statsd_sender.h"

#include <errno.h>
#include <limits.h>

#include "base/clock.h"

enum { BURST = 32 };
/* From burst to burst, and to the next attempt where the kernel has no room for datagrams. */
#define PACE_NS (5 * NS_PER_MSEC)
#define ROOM_NS (20 * NS_PER_MSEC)
/* From the first datagram of a push to the others, so that a receiver that is not there loses one
 * and not all: long where it was not there before. */
#define PROBE_NS      (10 * NS_PER_MSEC)
#define LONG_PROBE_NS (250 * NS_PER_MSEC)
/* From one attempt at a connection to the next, and the longest attempt. */
#define FIRST_RETRY_NS (250 * NS_PER_MSEC)
#define MAX_RETRY_NS   (30 * NS_PER_SEC)
#define CONNECT_NS     (10 * NS_PER_SEC)

static bool is_stream(const struct statsd_sender *s)
{
	return s->target.receiver.transport == ENDPOINT_TCP;
}

static bool has_packets(const struct statsd_sender *s)
{
	struct statsd_packet packet;

	return statsd_packets_next(s->packets, &packet);
}

static void drop_unsent(struct statsd_sender *s)
{
	struct statsd_packet packet;

	for (; statsd_packets_next(s->packets, &packet); statsd_packets_take(s->packets))
		s->counted(s, STATSD_DROPPED, 1, packet.text.n);
}

/* A stream's kernel knows what has arrived. */
static void settle_acknowledged(struct statsd_sender *s)
{
	if (is_stream(s) && statsd_socket_is_open(&s->socket))
		statsd_ledger_settle(s->ledger, s->ledger->position -
							statsd_socket_unacknowledged(&s->socket));
}

/* What is not settled comes back. */
static void roll_back(struct statsd_sender *s)
{
	uint64_t n_bytes = s->ledger->position - s->ledger->settled;
	uint64_t max_packet = s->config->statsd.max_packet;

	statsd_ledger_roll_back(s->ledger);
	if (n_bytes > 0)
		s->counted(s, STATSD_DROPPED, (n_bytes + max_packet - 1) / max_packet, n_bytes);
}

static void close_socket(struct statsd_sender *s)
{
	loop_timer_clear(s->loop, &s->pace);
	statsd_ledger_settle(s->ledger, s->ledger->position);
	statsd_socket_close(&s->socket);
}

static void fail(struct statsd_sender *s, int error)
{
	settle_acknowledged(s);
	/* Of datagrams it is the last one, of which a refusal speaks. */
	if (is_stream(s) || error == -ECONNREFUSED)
		roll_back(s);
	drop_unsent(s);
	close_socket(s);
	statsd_target_failed(&s->target);
	if (is_stream(s)) {
		s->retry_delay_ns = s->retry_delay_ns ? 2 * s->retry_delay_ns : FIRST_RETRY_NS;
		if (s->retry_delay_ns > MAX_RETRY_NS)
			s->retry_delay_ns = MAX_RETRY_NS;
		s->retry_ns = clock_monotonic_ns() + s->retry_delay_ns;
	}
	s->is_failing = true;
	s->reported(s, error, strerror(-error));
}

static void succeed(struct statsd_sender *s)
{
	s->is_failing = false;
	s->retry_delay_ns = 0;
	s->reported(s, 0, NULL);
}

/* 0: taken. */
static int send_packet(struct statsd_sender *s, const struct statsd_packet *packet)
{
	uint64_t before = s->ledger->position;
	int r = statsd_ledger_claim(s->ledger, packet->claims, packet->n_claims, packet->text.n);

	if (r < 0)
		return -EAGAIN;
	r = statsd_socket_send(&s->socket, packet->text);
	if (r < 0) {
		statsd_ledger_disclaim(s->ledger, packet->n_claims, packet->text.n);
		return r;
	}
	/* A datagram is out of reach once the next one was taken, on a unix socket at once. */
	if (s->target.receiver.transport == ENDPOINT_UDP)
		statsd_ledger_settle(s->ledger, before);
	else if (s->target.receiver.transport == ENDPOINT_UNIXGRAM)
		statsd_ledger_settle(s->ledger, s->ledger->position);
	s->counted(s, STATSD_SENT, 1, packet->text.n);
	statsd_packets_take(s->packets);
	return 0;
}

enum burst { BURST_OVER, BURST_BLOCKED, BURST_FAILED };

static enum burst send_burst(struct statsd_sender *s, int n_most)
{
	struct statsd_packet packet;

	for (int i = 0; i < n_most && statsd_packets_next(s->packets, &packet); i++) {
		int r = send_packet(s, &packet);

		if (r == -EAGAIN)
			return BURST_BLOCKED;
		if (r < 0) {
			fail(s, r);
			return BURST_FAILED;
		}
	}
	return BURST_OVER;
}

static void send_and_set_pace(struct statsd_sender *s, int n_most, uint64_t pace_ns)
{
	enum burst burst = send_burst(s, n_most);

	/* A stream tells by itself when there is room. */
	if (burst == BURST_FAILED || (burst == BURST_BLOCKED && is_stream(s)))
		return;
	if (burst == BURST_BLOCKED)
		pace_ns = ROOM_NS;
	/* Without memory for it, the rest of this push is dropped at the next one. */
	(void)!loop_timer_set(s->loop, &s->pace, clock_monotonic_ns() + pace_ns);
}

static uint64_t probe_ns(const struct statsd_sender *s)
{
	uint64_t most = s->config->statsd.interval / 4;
	uint64_t wanted = s->is_failing ? LONG_PROBE_NS : PROBE_NS;

	return wanted < most ? wanted : most;
}

void statsd_sender_start(struct statsd_sender *s)
{
	if (s->target.receiver.transport == ENDPOINT_UDP)
		send_and_set_pace(s, 1, probe_ns(s));
	else
		send_and_set_pace(s, BURST, PACE_NS);
}

/* After a burst, and once more after the last one: by then a refusal has come back. */
static void pace_due(struct timer *timer)
{
	struct statsd_sender *s = container_of(timer, struct statsd_sender, pace);
	int error = statsd_socket_error(&s->socket);

	if (error < 0)
		fail(s, error);
	else if (!has_packets(s))
		succeed(s);
	else
		send_and_set_pace(s, BURST, PACE_NS);
}

static void ready(struct statsd_socket *socket)
{
	struct statsd_sender *s = container_of(socket, struct statsd_sender, socket);

	if (!timer_is_set(&s->pace))
		statsd_sender_start(s);
}

static void broke(struct statsd_socket *socket, int error)
{
	struct statsd_sender *s = container_of(socket, struct statsd_sender, socket);

	settle_acknowledged(s);
	/* Some receivers end a connection that rests; that is no failure if they have everything.
	 */
	if (error == -EPIPE && s->ledger->settled == s->ledger->position)
		close_socket(s);
	else
		fail(s, error);
}

/* What happened since the last push. */
static void look_back(struct statsd_sender *s)
{
	int error = 0;

	loop_timer_clear(s->loop, &s->pace);
	drop_unsent(s);
	if (!statsd_socket_is_open(&s->socket))
		return;
	settle_acknowledged(s);
	if (!s->socket.is_connecting)
		error = statsd_socket_error(&s->socket);
	else if (clock_monotonic_ns() - s->opened_ns > CONNECT_NS)
		error = -ETIMEDOUT;
	if (error < 0)
		fail(s, error);
}

bool statsd_sender_prepare(struct statsd_sender *s)
{
	const struct resolver_address *address;
	int r;

	look_back(s);
	statsd_target_refresh(&s->target);
	address = statsd_target_address(&s->target);
	if (statsd_socket_is_open(&s->socket))
		return true;
	if (!address || clock_monotonic_ns() < s->retry_ns)
		return false;
	s->opened_ns = clock_monotonic_ns();
	r = statsd_socket_open(&s->socket, s->target.receiver.transport, address);
	if (r < 0)
		fail(s, r);
	return r == 0;
}

void statsd_sender_finish(struct statsd_sender *s, uint64_t until_ns)
{
	int n_most = s->target.receiver.transport == ENDPOINT_UDP ? 1 : BURST;
	uint64_t now = clock_monotonic_ns();
	int error = 0;

	while (now < until_ns && error == 0 && statsd_socket_is_open(&s->socket) &&
	       (has_packets(s) || s->socket.rest.len > 0)) {
		uint64_t wait_ns = n_most == 1 ? PROBE_NS : PACE_NS;

		if (send_burst(s, n_most) == BURST_FAILED)
			return;
		n_most = BURST;
		if (wait_ns > until_ns - now)
			wait_ns = until_ns - now;
		statsd_socket_wait(&s->socket, (int)(wait_ns / NS_PER_MSEC));
		if (statsd_socket_is_open(&s->socket) && !s->socket.is_connecting)
			error = statsd_socket_error(&s->socket);
		now = clock_monotonic_ns();
	}
	if (error < 0)
		fail(s, error);
	drop_unsent(s);
}

/* Leaves the receiver, which gets what the kernel has taken: only the rest comes back. */
static void leave(struct statsd_sender *s)
{
	if (!s->config)
		return;
	look_back(s);
	statsd_ledger_settle(s->ledger, s->ledger->position - s->socket.rest.len);
	roll_back(s);
	close_socket(s);
	s->retry_ns = s->retry_delay_ns = 0;
}

void statsd_sender_aim(struct statsd_sender *s, const struct config *config)
{
	bool is_same = s->config && config &&
		       strcmp(s->config->statsd.address, config->statsd.address) == 0;

	if (!is_same) {
		leave(s);
		statsd_target_done(&s->target);
		if (config)
			statsd_target_set(&s->target, config->statsd.address);
	}
	s->config = config;
}

static void target_changed(struct statsd_target *target, const char *error)
{
	struct statsd_sender *s = container_of(target, struct statsd_sender, target);

	if (!error) {
		leave(s);
		return;
	}
	s->is_failing = true;
	s->reported(s, 0, error);
}

void statsd_sender_init(struct statsd_sender *s, struct resolver *resolver)
{
	s->config = NULL;
	s->is_failing = false;
	s->opened_ns = s->retry_ns = s->retry_delay_ns = 0;
	timer_init(&s->pace, pace_due);
	statsd_socket_init(&s->socket, s->loop, ready, broke);
	statsd_target_init(&s->target, s->loop, resolver, target_changed);
}

void statsd_sender_done(struct statsd_sender *s)
{
	loop_timer_clear(s->loop, &s->pace);
	statsd_target_done(&s->target);
	statsd_socket_close(&s->socket);
}
