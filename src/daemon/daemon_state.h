/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the process, shared by the files of this folder. Main thread only. */
#pragma once

#include "api/control.h"
#include "backend/address_book.h"
#include "backend/backends.h"
#include "daemon/daemon.h"
#include "daemon/fleet.h"
#include "daemon/service.h"
#include "daemon/worker.h"
#include "export/history.h"
#include "export/statsd.h"
#include "http/census.h"
#include "health/prober.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "upstream/client.h"

struct opening;

struct daemon {
	const struct daemon_options *options;
	struct lifecycle lifecycle;
	struct config *loaded;       /* as it stands in the files */
	struct config *config;       /* in force: with a backend for each address of a name */
	struct config *started_with; /* whose RESTART options are in force */
	struct registry *registry;
	struct slab *slab;
	struct {
		const struct series *succeeded, *failed;
	} reloads;
	struct {
		uint64_t msec; /* when, by the calendar; 0: there was none yet */
		int result;    /* 0 or -errno */
		struct buf error;
	} last_reload;
	struct process_metrics *process_metrics;
	struct fleet *fleet;
	struct history *history;
	struct loop *loop;
	struct mailbox *mailbox;
	struct control control; /* for the workers' admin face */
	struct client *client;
	struct backends *backends;
	struct queue *queue;
	struct address_book *address_book;
	struct prober *prober;
	struct route_table *table; /* in force */
	struct statsd *statsd;
	struct census *census;       /* of the clients */
	struct listener **listeners; /* a reference to each */
	size_t n_listeners;
	struct list leaving; /* listeners that are given up */
	struct worker **workers;
	size_t n_workers;

	struct service service;
	struct service_socket *inherited; /* until the listeners are open */
	size_t n_inherited;
	struct inheritance *inheritance; /* from an old process */
	struct handover *handover;       /* to a new one; NULL: none was asked for */

	struct watch signals;
	bool reload_is_due;   /* was asked for before there was anything to reload */
	struct timer rebuild; /* of the route table, when a list of models changed */
	uint64_t rebuilt_ns;
	unsigned n_rebuilds;    /* asked for by changed models */
	bool awaits_new_models; /* the table in force is of the configuration before */
	struct timer watchdog;
	uint64_t *heartbeats; /* as of the last ping, one per worker */
	struct timer status;

	/* shutdown.c */
	size_t n_stopped_accepting, n_drained; /* workers */
	struct timer overdue, progress;
	bool hurried;
};

/* daemon.c */
/* Was a stop asked for? */
bool daemon_is_stopping(const struct daemon *daemon);

/* reload.c */
/* The counters of reloads are there from the start: the first failure is a step from 0. */
void reload_init(struct daemon *daemon);
/* The stage of the backends: they are checked and looked up, and there is a first table. */
int reload_backends_up(struct daemon *daemon) MUST_CHECK;
void reload_backends_down(struct daemon *daemon);
/* Reads the configuration anew; on any error the old one stays in force. last_reload says how it
 * went. */
void reload_config(struct daemon *daemon);
/* Puts in force what is loaded and the addresses that are known. -ENOMEM keeps everything as it
 * was. */
int reload_adopt_addresses(struct daemon *daemon) MUST_CHECK;
void reload_rebuild_due(struct timer *timer);
/* What the configuration in force, and the limit of open files, allow of connections. `before`:
 * what was in force, or NULL. */
void reload_apply_ceilings(struct daemon *daemon, const struct config *before, size_t n_workers);
/* The level of the command line, else of the configuration. */
void reload_apply_log_level(const struct daemon *daemon);

/* shutdown.c */
/* Takes nothing new and ends the loop once everything under way is done or overdue. */
void shutdown_begin(struct daemon *daemon);
/* Tells requests that still run that their time is over, and ends the loop soon. */
void shutdown_hurry(struct daemon *daemon);
/* Ends the loop if there is nothing left to wait for. */
void shutdown_look(struct daemon *daemon);
void shutdown_worker_stopped_accepting(void *daemon);
void shutdown_worker_drained(void *daemon);
void shutdown_overdue(struct timer *timer);
void shutdown_progress(struct timer *timer);
/* The last of all, if there was a start. */
void shutdown_end(struct daemon *daemon);

/* sockets.c */
/* Opens or inherits the listeners of daemon->config. Errors are logged. */
int sockets_open(struct daemon *daemon) MUST_CHECK;
/* Reads what the listeners need beside their sockets. -EINVAL or -ENOMEM with the line in `error`.
 */
int sockets_check(const struct config *config, struct buf *error) MUST_CHECK;
/* What another configuration needs, without touching what is in force: then one of
 * sockets_replace() and opening_abandon(). -EINVAL or -ENOMEM with the line in `error`. */
int sockets_prepare(const struct daemon *daemon, const struct config *config, struct buf *error,
		    struct opening *ret_opening) MUST_CHECK;
/* Takes the opening over. Listeners that did not change are not touched. */
void sockets_replace(struct daemon *daemon, struct opening *opening);
/* Closes those that are given up and held by no worker any more. */
void sockets_sweep(void *daemon);
/* Lets the service manager, if there is one, keep those that were opened here. */
void sockets_store(struct daemon *daemon);
/* Safe to call again. */
void sockets_close(struct daemon *daemon);
