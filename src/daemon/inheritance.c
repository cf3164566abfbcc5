/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/inheritance.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/channel.h"
#include "daemon/daemon_state.h"
#include "daemon/duties.h"
#include "daemon/succession.h"

/* For the first health checks: whoever waits in an inherited socket waits so long at most. */
#define SETTLE_NS (10 * NS_PER_SEC)

enum progress { AWAITS_COUNTS, HAS_COUNTS, IS_MAIN };

struct inheritance {
	struct daemon *daemon;
	struct watch channel; /* of an old process, while there is one */
	struct slab *slab;    /* for what that one counted */
	enum progress progress;
	struct hook settled;
	struct timer unsettled;
};

static void tell(struct inheritance *inheritance, enum channel_kind kind)
{
	/* A process that is gone is noticed by the end of the channel. */
	if (inheritance->channel.fd >= 0)
		(void)!channel_send(inheritance->channel.fd, kind, (struct str){0});
}

static void become_main(struct inheritance *inheritance)
{
	inheritance->progress = IS_MAIN;
	if (duties_take(inheritance->daemon) < 0)
		log_error("no memory for the service manager's timers");
}

static void old_process_gone(struct inheritance *inheritance)
{
	loop_close(inheritance->daemon->loop, &inheritance->channel);
	if (inheritance->progress == AWAITS_COUNTS) {
		loop_stop(inheritance->daemon->loop);
		return;
	}
	log_info("the process before this one has ended");
	if (inheritance->progress == HAS_COUNTS)
		become_main(inheritance);
	shutdown_look(inheritance->daemon);
}

static void absorb(struct inheritance *inheritance, struct str piece)
{
	if (transcript_absorb(inheritance->daemon->registry, inheritance->slab, piece) < 0)
		log_error("the process before this one tells its counts in a form unknown here; "
			  "some are lost");
}

static void channel_ready(struct watch *watch, uint32_t events UNUSED)
{
	struct inheritance *inheritance = container_of(watch, struct inheritance, channel);
	struct channel_message message;
	int r = channel_receive(watch->fd, &message);

	if (r == -EAGAIN)
		return;
	if (r < 0) {
		old_process_gone(inheritance);
	} else if (message.kind == CHANNEL_COUNTS) {
		absorb(inheritance, message.body);
	} else if (message.kind == CHANNEL_DRAINED) {
		succession_set_drain(inheritance->daemon, true, message.body);
	} else if (message.kind == CHANNEL_UNDRAINED) {
		succession_set_drain(inheritance->daemon, false, message.body);
	} else if (message.kind == CHANNEL_ABSENT) {
		succession_set_absent(inheritance->daemon, message.body);
	} else if (message.kind == CHANNEL_COUNTED && inheritance->progress == AWAITS_COUNTS) {
		inheritance->progress = HAS_COUNTS;
		loop_stop(inheritance->daemon->loop);
	} else if (message.kind == CHANNEL_MAIN && inheritance->progress == HAS_COUNTS) {
		become_main(inheritance);
	}
}

/* At the end of every turn until the backends are known, and their models in the table. */
static uint64_t look_whether_settled(struct hook *hook)
{
	struct inheritance *inheritance = container_of(hook, struct inheritance, settled);
	struct daemon *daemon = inheritance->daemon;

	if (prober_has_settled(daemon->prober) && !timer_is_set(&daemon->rebuild))
		loop_stop(daemon->loop);
	return UINT64_MAX;
}

static void unsettled(struct timer *timer)
{
	struct inheritance *inheritance = container_of(timer, struct inheritance, unsettled);

	loop_stop(inheritance->daemon->loop);
}

static int settle(struct inheritance *inheritance)
{
	struct loop *loop = inheritance->daemon->loop;
	int r = loop_timer_set(loop, &inheritance->unsettled, loop_now_ns(loop) + SETTLE_NS);

	if (r < 0)
		return r;
	loop_hook_add(loop, &inheritance->settled);
	loop_run(loop);
	loop_hook_remove(&inheritance->settled);
	loop_timer_clear(loop, &inheritance->unsettled);
	return 0;
}

/* All that the old process wrote before it started this one: no host has been looked up yet. */
static int learn_addresses(struct inheritance *inheritance)
{
	struct daemon *daemon = inheritance->daemon;
	struct channel_message message;
	size_t n = 0;

	while (channel_receive(inheritance->channel.fd, &message) == 0 &&
	       message.kind == CHANNEL_ADDRESSES) {
		address_book_learn(daemon->address_book, message.body);
		n++;
	}
	return n > 0 ? reload_adopt_addresses(daemon) : 0;
}

/* The channel leaves the sockets; the others are listeners. */
static int take_channel(struct inheritance *inheritance)
{
	struct daemon *daemon = inheritance->daemon;
	int channel_fd;

	for (size_t i = 0; i < daemon->n_inherited; i++) {
		struct service_socket *socket = &daemon->inherited[i];

		if (!socket->name || strcmp(socket->name, INHERITANCE_CHANNEL) != 0)
			continue;
		inheritance->slab = registry_inherited_slab(daemon->registry);
		if (!inheritance->slab)
			return -ENOMEM;
		daemon->service.is_mute = true;
		channel_fd = socket->fd;
		free(socket->name);
		*socket = daemon->inherited[--daemon->n_inherited];
		return loop_watch(daemon->loop, &inheritance->channel, channel_fd, EPOLLIN);
	}
	return 0;
}

static int receive_counts(struct inheritance *inheritance)
{
	struct daemon *daemon = inheritance->daemon;

	tell(inheritance, CHANNEL_PREPARED);
	loop_run(daemon->loop);
	if (inheritance->progress == AWAITS_COUNTS && !daemon_is_stopping(daemon)) {
		log_event(MESSAGE_START_FAILED, "the process to take over from is gone");
		return -ECANCELED;
	}
	return 0;
}

static struct inheritance *inheritance_new(struct daemon *daemon)
{
	struct inheritance *inheritance = calloc(1, sizeof(*inheritance));

	if (!inheritance)
		return NULL;
	inheritance->daemon = daemon;
	watch_init(&inheritance->channel, channel_ready);
	timer_init(&inheritance->unsettled, unsettled);
	list_init(&inheritance->settled.node);
	inheritance->settled.turn_end = look_whether_settled;
	return inheritance;
}

int inheritance_up(struct daemon *daemon)
{
	struct inheritance *inheritance = daemon->inheritance = inheritance_new(daemon);
	int r = inheritance ? service_inherited(&daemon->inherited, &daemon->n_inherited) : -ENOMEM;

	if (r < 0) {
		log_event(MESSAGE_START_FAILED, "cannot take the inherited sockets: %s",
			  strerror(-r));
		return r;
	}
	if (daemon->n_inherited == 0)
		return 0;
	r = take_channel(inheritance);
	if (r == 0 && inheritance->channel.fd >= 0)
		r = learn_addresses(inheritance);
	if (r == 0)
		r = settle(inheritance);
	if (r == 0 && inheritance->channel.fd >= 0 && !daemon_is_stopping(daemon))
		r = receive_counts(inheritance);
	return r;
}

void inheritance_down(struct daemon *daemon)
{
	if (!daemon->inheritance)
		return;
	loop_close(daemon->loop, &daemon->inheritance->channel);
	free(daemon->inheritance);
	daemon->inheritance = NULL;
	daemon->inherited = service_sockets_free(daemon->inherited, daemon->n_inherited);
}

bool inheritance_serve(struct inheritance *inheritance)
{
	tell(inheritance, CHANNEL_SERVING);
	if (inheritance->channel.fd < 0)
		inheritance->progress = IS_MAIN;
	return inheritance->progress == IS_MAIN;
}

bool inheritance_is_awaited(const struct inheritance *inheritance)
{
	return inheritance->progress != IS_MAIN;
}

bool inheritance_is_open(const struct inheritance *inheritance)
{
	return inheritance->channel.fd >= 0;
}

void inheritance_hurry(struct inheritance *inheritance)
{
	tell(inheritance, CHANNEL_HURRY);
}
