/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/duties.h"

#include <errno.h>

#include "base/clock.h"
#include "daemon/daemon_state.h"
#include "daemon/status.h"

#define STATUS_NS (5 * NS_PER_SEC)

/* All loops turn: those of the workers and, since it looks, the main thread's. */
static void watchdog_due(struct timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, watchdog);
	bool all_move = true;

	for (size_t i = 0; i < daemon->n_workers; i++)
		all_move &= worker_heartbeat(daemon->workers[i]) != daemon->heartbeats[i];
	for (size_t i = 0; i < daemon->n_workers && all_move; i++)
		daemon->heartbeats[i] = worker_heartbeat(daemon->workers[i]);
	if (all_move)
		service_watchdog_ping(&daemon->service);
	/* The timer that has just fired left room for itself. */
	(void)!loop_timer_set(daemon->loop, timer,
			      loop_now_ns(daemon->loop) + service_watchdog_ns() / 3);
}

static void status_due(struct timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, status);
	char text[STATUS_BYTES];

	service_status(&daemon->service, status_text(daemon, text));
	/* As above. */
	(void)!loop_timer_set(daemon->loop, timer, loop_now_ns(daemon->loop) + STATUS_NS);
}

void duties_init(struct daemon *daemon)
{
	timer_init(&daemon->watchdog, watchdog_due);
	timer_init(&daemon->status, status_due);
}

static void log_start(const struct daemon *daemon)
{
	log_event(MESSAGE_STARTED, "Serving on %s%s with %zu workers and %zu backends",
		  daemon->n_listeners ? daemon->listeners[0]->address : "nothing",
		  daemon->n_listeners > 1 ? " and more" : "", daemon->n_workers,
		  daemon->config->n_backends);
}

int duties_take(struct daemon *daemon)
{
	uint64_t now = loop_now_ns(daemon->loop);
	char text[STATUS_BYTES];

	daemon->service.is_mute = false;
	if (service_watchdog_ns() > 0 && loop_timer_set(daemon->loop, &daemon->watchdog, now) < 0)
		return -ENOMEM;
	if (service_is_managed(&daemon->service) &&
	    loop_timer_set(daemon->loop, &daemon->status, now + STATUS_NS) < 0)
		return -ENOMEM;
	sockets_store(daemon);
	service_ready(&daemon->service, status_text(daemon, text));
	log_start(daemon);
	return 0;
}

void duties_drop(struct daemon *daemon)
{
	loop_timer_clear(daemon->loop, &daemon->watchdog);
	loop_timer_clear(daemon->loop, &daemon->status);
}
