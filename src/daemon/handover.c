/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/handover.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/channel.h"
#include "daemon/daemon_state.h"
#include "daemon/duties.h"
#include "daemon/inheritance.h"
#include "daemon/spawn.h"
#include "daemon/succession.h"

/* For the new process to begin to serve. */
#define START_NS (30 * NS_PER_SEC)
/* How often it hears what was counted meanwhile. */
#define COUNTS_NS (200 * NS_PER_MSEC)

struct handover {
	struct daemon *daemon;
	struct watch channel;
	struct timer overdue, counts;
	struct transcript transcript;
	pid_t pid;
	bool is_over, reload_is_wanted;
};

static int send_piece(void *context, struct str piece)
{
	const struct handover *handover = context;

	return channel_send(handover->channel.fd, CHANNEL_COUNTS, piece);
}

static void send_counts(struct handover *handover)
{
	int r;

	if (handover->channel.fd < 0)
		return;
	r = transcript_send(&handover->transcript);
	if (r < 0 && r != -ENOMEM) {
		log_error("cannot tell process %d what was counted: %s", (int)handover->pid,
			  strerror(-r));
		loop_close(handover->daemon->loop, &handover->channel);
	}
}

static struct handover *handover_free(struct handover *handover)
{
	if (!handover)
		return NULL;
	if (handover->is_over)
		send_counts(handover);
	loop_close(handover->daemon->loop, &handover->channel);
	loop_timer_clear(handover->daemon->loop, &handover->overdue);
	loop_timer_clear(handover->daemon->loop, &handover->counts);
	transcript_done(&handover->transcript);
	free(handover);
	return NULL;
}

/* Everything is as it was before. */
static void fail(struct handover *handover, const char *reason)
{
	struct daemon *daemon = handover->daemon;
	bool reload_is_wanted = handover->reload_is_wanted;

	log_event(MESSAGE_HANDOVER_FAILED, "handover failed: %s; this process goes on", reason);
	daemon->handover = handover_free(handover);
	if (reload_is_wanted)
		reload_config(daemon);
}

static void overdue(struct timer *timer)
{
	struct handover *handover = container_of(timer, struct handover, overdue);

	/* Its end of the channel is open: the number is still its own. */
	(void)kill(handover->pid, SIGKILL);
	fail(handover, "the new process did not serve in time");
}

static void counts_due(struct timer *timer)
{
	struct handover *handover = container_of(timer, struct handover, counts);
	struct loop *loop = handover->daemon->loop;

	send_counts(handover);
	/* The timer that has just fired left room for itself. */
	(void)!loop_timer_set(loop, timer, loop_now_ns(loop) + COUNTS_NS);
}

/* What only the main process of a service does. */
static void give_up_duties(struct daemon *daemon, pid_t pid)
{
	service_give_way(&daemon->service, pid);
	duties_drop(daemon);
	loop_timer_clear(daemon->loop, &daemon->rebuild);
	/* Before the prober, which it would tell of other addresses. */
	daemon->address_book = address_book_free(daemon->address_book);
	daemon->prober = prober_free(daemon->prober);
	statsd_leave(daemon->statsd);
	for (size_t i = 0; i < daemon->n_listeners; i++)
		listener_leave_file(daemon->listeners[i]);
}

static void complete(struct handover *handover)
{
	struct daemon *daemon = handover->daemon;

	/* In this order: the manager hears of the new process before it hears from it. */
	give_up_duties(daemon, handover->pid);
	if (channel_send(handover->channel.fd, CHANNEL_MAIN, (struct str){0}) < 0)
		log_error("process %d took over and is gone", (int)handover->pid);
	handover->is_over = true;
	loop_timer_clear(daemon->loop, &handover->overdue);
	if (handover->reload_is_wanted)
		(void)kill(handover->pid, SIGHUP);
	log_event(MESSAGE_HANDED_OVER,
		  "process %d has taken over; requests under way are finished here",
		  (int)handover->pid);
	for (size_t i = 0; i < daemon->n_workers; i++)
		worker_retire(daemon->workers[i]);
	counts_due(&handover->counts);
}

static int send_drain(void *context, enum channel_kind kind, struct str what)
{
	const struct handover *handover = context;

	if (handover->channel.fd < 0)
		return -ENOTCONN;
	return channel_send(handover->channel.fd, kind, what);
}

static void tell_state(struct handover *handover)
{
	send_counts(handover);
	if (handover->channel.fd < 0) {
		(void)kill(handover->pid, SIGTERM);
		fail(handover, "the new process takes no counts");
		return;
	}
	succession_tell_drains(handover->daemon, send_drain, handover);
	/* Should it be gone, the channel says so next. */
	(void)!channel_send(handover->channel.fd, CHANNEL_COUNTED, (struct str){0});
}

static void channel_ready(struct watch *watch, uint32_t events UNUSED)
{
	struct handover *handover = container_of(watch, struct handover, channel);
	struct channel_message message;
	int r = channel_receive(watch->fd, &message);

	if (r == -EAGAIN)
		return;
	if (r < 0 && !handover->is_over) {
		fail(handover, "the new process ended before it served");
		return;
	}
	if (r < 0)
		loop_close(handover->daemon->loop, &handover->channel);
	else if (message.kind == CHANNEL_PREPARED)
		tell_state(handover);
	else if (message.kind == CHANNEL_SERVING && !handover->is_over)
		complete(handover);
	else if (message.kind == CHANNEL_HURRY)
		shutdown_hurry(handover->daemon);
}

/* The listeners and the channel, all borrowed; the caller frees the array. NULL for no memory. */
static struct service_socket *sockets_of(const struct daemon *daemon, int channel_fd)
{
	struct service_socket *sockets = calloc(daemon->n_listeners + 1, sizeof(*sockets));
	static char own_name[] = SERVICE_OWN_NAME, channel_name[] = INHERITANCE_CHANNEL;

	if (!sockets)
		return NULL;
	for (size_t i = 0; i < daemon->n_listeners; i++) {
		const struct listener *listener = daemon->listeners[i];

		sockets[i] = (struct service_socket){listener->fd,
						     listener->name ? listener->name : own_name};
	}
	sockets[daemon->n_listeners] = (struct service_socket){channel_fd, channel_name};
	return sockets;
}

/* The new process is to find them when it looks for the first time. What the socket does not hold
 * of hundreds of hosts is looked up there and numbered anew. */
static int send_addresses(void *context, struct str text)
{
	const struct handover *handover = context;

	return channel_try_to_send(handover->channel.fd, CHANNEL_ADDRESSES, text);
}

static int start(struct handover *handover, int channel_fd)
{
	struct daemon *daemon = handover->daemon;
	struct service_socket *sockets = sockets_of(daemon, channel_fd);
	int r = -ENOMEM;

	if (sockets)
		r = loop_timer_set(daemon->loop, &handover->overdue,
				   loop_now_ns(daemon->loop) + START_NS);
	address_book_tell(daemon->address_book, send_addresses, handover);
	if (r == 0)
		r = spawn_with_sockets(daemon->options->argv, sockets, daemon->n_listeners + 1,
				       &handover->pid);
	free(sockets);
	return r;
}

static struct handover *handover_new(struct daemon *daemon)
{
	struct handover *handover = calloc(1, sizeof(*handover));

	if (!handover)
		return NULL;
	handover->daemon = daemon;
	watch_init(&handover->channel, channel_ready);
	timer_init(&handover->overdue, overdue);
	timer_init(&handover->counts, counts_due);
	transcript_init(&handover->transcript, daemon->registry, send_piece, handover);
	return handover;
}

static void try_to_begin(struct daemon *daemon)
{
	int fds[2] = {-1, -1};
	int r = channel_pair(fds);

	daemon->handover = handover_new(daemon);
	if (r == 0 && !daemon->handover)
		r = -ENOMEM;
	if (r == 0) {
		r = loop_watch(daemon->loop, &daemon->handover->channel, fds[0], EPOLLIN);
		if (r == 0)
			fds[0] = -1;
	}
	if (r == 0)
		r = start(daemon->handover, fds[1]);
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (r == 0) {
		log_info("handing over to process %d", (int)daemon->handover->pid);
		return;
	}
	log_event(MESSAGE_HANDOVER_FAILED,
		  "handover failed: cannot start %s: %s; this process goes on",
		  daemon->options->argv[0], strerror(-r));
	daemon->handover = handover_free(daemon->handover);
}

void handover_begin(struct daemon *daemon)
{
	if (daemon->handover || inheritance_is_awaited(daemon->inheritance))
		log_notice("no handover while another one, or the start, is under way");
	else if (getpid() == 1)
		log_event(MESSAGE_HANDOVER_FAILED, "handover failed: with process 1 all others "
						   "end; restart the container instead");
	else
		try_to_begin(daemon);
}

bool handover_defers_reload(struct handover *handover)
{
	if (handover && !handover->is_over)
		handover->reload_is_wanted = true;
	return handover != NULL;
}

void handover_call_off(struct daemon *daemon)
{
	if (!daemon->handover || daemon->handover->is_over)
		return;
	/* Not to kill: it may serve already, though it could not say so yet. */
	(void)kill(daemon->handover->pid, SIGTERM);
	daemon->handover = handover_free(daemon->handover);
}

void handover_down(struct daemon *daemon)
{
	daemon->handover = handover_free(daemon->handover);
	inheritance_down(daemon);
}
