/* SPDX-License-Identifier: Apache-2.0 */
/* The way out: drain, then hurry, then leave. */
#include "base/clock.h"
#include "daemon/daemon_state.h"
#include "daemon/handover.h"
#include "daemon/inheritance.h"

/* How often the service manager hears that the drain goes on, and what it is asked for. */
#define PROGRESS_NS        (5 * NS_PER_SEC)
#define PROGRESS_WISH_USEC 15000000
/* For the last answers to get out after the drain's time. */
#define HURRY_NS (2 * NS_PER_SEC)

static void set_timer(struct daemon *daemon, struct timer *timer, uint64_t after_ns)
{
	/* Without memory for it the drain has no end of its own: leave now. */
	if (loop_timer_set(daemon->loop, timer, loop_now_ns(daemon->loop) + after_ns) < 0)
		loop_stop(daemon->loop);
}

void shutdown_worker_stopped_accepting(void *context)
{
	struct daemon *daemon = context;

	/* Not before: what is queued was promised an answer. Now a client is refused at once. */
	if (++daemon->n_stopped_accepting == daemon->n_workers)
		sockets_close(daemon);
}

void shutdown_worker_drained(void *context)
{
	struct daemon *daemon = context;

	daemon->n_drained++;
	shutdown_look(daemon);
}

void shutdown_look(struct daemon *daemon)
{
	/* An old process still has requests of its own; what it counts would be lost. */
	if (daemon->n_workers > 0 && daemon->n_drained == daemon->n_workers &&
	    !inheritance_is_open(daemon->inheritance))
		loop_stop(daemon->loop);
}

void shutdown_hurry(struct daemon *daemon)
{
	if (daemon->hurried)
		return;
	log_event(MESSAGE_DRAIN_OVERDUE,
		  "the drain's time is over; requests still running are ended");
	daemon->hurried = true;
	for (size_t i = 0; i < daemon->n_workers; i++)
		worker_hurry(daemon->workers[i]);
	inheritance_hurry(daemon->inheritance);
	set_timer(daemon, &daemon->overdue, HURRY_NS);
}

void shutdown_overdue(struct timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, overdue);

	if (daemon->hurried)
		loop_stop(daemon->loop);
	else
		shutdown_hurry(daemon);
}

void shutdown_progress(struct timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, progress);

	service_extend_timeout(&daemon->service, PROGRESS_WISH_USEC);
	set_timer(daemon, timer, PROGRESS_NS);
}

void shutdown_begin(struct daemon *daemon)
{
	if (atomic_exchange_explicit(&daemon->lifecycle.draining, true, memory_order_relaxed)) {
		/* Asked twice: the one who asks does not want to wait. */
		daemon->hurried = true;
		/* Nobody else will tell the process before this one, which has no bound of its own.
		 */
		inheritance_hurry(daemon->inheritance);
		loop_stop(daemon->loop);
		return;
	}
	handover_call_off(daemon);
	service_stopping(&daemon->service, "Draining");
	log_event(MESSAGE_DRAINING, "draining: no new connections, requests under way may finish");
	set_timer(daemon, &daemon->overdue, daemon->config->timeouts.drain);
	set_timer(daemon, &daemon->progress, 0);
	for (size_t i = 0; i < daemon->n_workers; i++)
		worker_drain(daemon->workers[i]);
	if (daemon->n_workers == 0)
		loop_stop(daemon->loop);
}

void shutdown_end(struct daemon *daemon)
{
	/* After a handover it is not nexusd that stops. */
	if (daemon_is_stopping(daemon) &&
	    atomic_load_explicit(&daemon->lifecycle.ready, memory_order_relaxed))
		log_event(MESSAGE_STOPPED, "stopped");
}
