/* SPDX-License-Identifier: Apache-2.0 */
/* The listeners in force. One that is given up stays open until every worker has taken what waits
 * in its queue: until then main holds it in `leaving`, and so frees every listener itself. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/daemon_state.h"
#include "daemon/opening.h"
#include "http/tls.h"

static bool is_own(const struct service_socket *socket)
{
	return socket->name && strcmp(socket->name, SERVICE_OWN_NAME) == 0;
}

/* Those that were inherited; the caller frees the array. NULL for no memory. */
static struct opening_socket *candidates_inherited(const struct daemon *daemon)
{
	struct opening_socket *candidates = calloc(daemon->n_inherited + 1, sizeof(*candidates));

	for (size_t i = 0; candidates && i < daemon->n_inherited; i++) {
		const struct service_socket *socket = &daemon->inherited[i];

		candidates[i].fd = socket->fd;
		candidates[i].name = is_own(socket) ? NULL : socket->name;
	}
	return candidates;
}

/* Those that are open; the caller frees the array. NULL for no memory. */
static struct opening_socket *candidates_open(const struct daemon *daemon, size_t *ret_n)
{
	size_t n = daemon->n_listeners;
	struct opening_socket *candidates;

	list_for_each (node, next, &daemon->leaving)
		n++;
	candidates = calloc(n + 1, sizeof(*candidates));
	if (!candidates)
		return NULL;
	*ret_n = n;
	n = 0;
	for (size_t i = 0; i < daemon->n_listeners; i++)
		candidates[n++].listener = daemon->listeners[i];
	list_for_each (node, next, &daemon->leaving) {
		candidates[n].is_leaving = true;
		candidates[n++].listener = list_entry(node, struct listener, node);
	}
	while (n-- > 0) {
		candidates[n].fd = candidates[n].listener->fd;
		candidates[n].name = candidates[n].listener->name;
	}
	return candidates;
}

int sockets_open(struct daemon *daemon)
{
	struct opening opening = {.config = daemon->config, .n_candidates = daemon->n_inherited};
	struct opening_socket *candidates = candidates_inherited(daemon);
	struct buf error;
	int r = -ENOMEM;

	list_init(&daemon->leaving);
	buf_init(&error, 8192);
	opening.candidates = candidates;
	opening.error = &error;
	if (candidates)
		r = opening_make(&opening);
	if (r == 0) {
		daemon->listeners = opening.listeners;
		daemon->n_listeners = opening.n;
		r = opening_own_files(&opening);
		if (r < 0)
			(void)!buf_printf(&error, "cannot own the unix sockets: %s", strerror(-r));
	}
	if (r < 0 && r != -ENOMEM)
		log_event(MESSAGE_START_FAILED, "%.*s", (int)error.len,
			  error.len ? error.data : "");
	/* What is wanted was duplicated, the rest is of processes with another configuration. */
	for (size_t i = 0; i < daemon->n_inherited; i++)
		close(daemon->inherited[i].fd);
	daemon->inherited = service_sockets_free(daemon->inherited, daemon->n_inherited);
	daemon->n_inherited = 0;
	buf_done(&error);
	free(candidates);
	return r;
}

int sockets_check(const struct config *config, struct buf *error)
{
	int r = 0;

	for (size_t i = 0; i < config->n_listeners && r == 0; i++) {
		struct tls *tls;

		r = tls_load(&config->listeners[i], &tls, error);
		tls_unref(tls);
	}
	return r;
}

int sockets_prepare(const struct daemon *daemon, const struct config *config, struct buf *error,
		    struct opening *ret_opening)
{
	struct opening opening = {.config = config, .error = error};
	struct opening_socket *candidates = candidates_open(daemon, &opening.n_candidates);
	int r = -ENOMEM;

	opening.candidates = candidates;
	if (candidates)
		r = opening_make(&opening);
	free(candidates);
	opening.candidates = NULL;
	if (r == 0)
		*ret_opening = opening;
	return r;
}

/* The file of a unix socket goes with it, unless the socket goes on under another listener. */
static void give_up(struct daemon *daemon, struct listener *listener, const struct opening *next)
{
	if (listener->name || listeners_have_address(next->listeners, next->n, listener->address)) {
		listener_leave_file(listener);
	} else {
		/* It may have been left to the service manager's store. */
		if (listener_own_file(listener) < 0)
			log_error("the file of %s stays", listener->address);
		log_info("no longer listening on %s", listener->address);
	}
	list_append(&daemon->leaving, &listener->node);
}

/* One that workers still let go of, and that is asked for again: its file is the new one's. */
static void leave_files(struct daemon *daemon, const struct opening *next)
{
	list_for_each (node, following, &daemon->leaving) {
		struct listener *listener = list_entry(node, struct listener, node);

		if (listeners_have_address(next->listeners, next->n, listener->address))
			listener_leave_file(listener);
	}
}

static void tell_new_ones(const struct daemon *daemon, const struct opening *next)
{
	for (size_t i = 0; i < next->n; i++) {
		const char *address = next->listeners[i]->address;

		if (!listeners_have_address(daemon->listeners, daemon->n_listeners, address))
			log_info("listening on %s", address);
	}
}

static bool is_unchanged(const struct daemon *daemon, const struct opening *opening)
{
	for (size_t i = 0; i < opening->n; i++)
		if (!listeners_include(daemon->listeners, daemon->n_listeners,
				       opening->listeners[i]))
			return false;
	return opening->n == daemon->n_listeners;
}

void sockets_replace(struct daemon *daemon, struct opening *opening)
{
	if (is_unchanged(daemon, opening)) {
		opening_abandon(opening);
		return;
	}
	tell_new_ones(daemon, opening);
	leave_files(daemon, opening);
	for (size_t i = 0; i < daemon->n_listeners; i++) {
		struct listener *listener = daemon->listeners[i];

		if (listeners_include(opening->listeners, opening->n, listener))
			listener_unref(listener);
		else
			give_up(daemon, listener, opening);
	}
	free(daemon->listeners);
	daemon->listeners = opening->listeners;
	daemon->n_listeners = opening->n;
	if (opening_own_files(opening) < 0)
		log_error("the mode of a unix socket could not be set");
	for (size_t i = 0; i < daemon->n_workers; i++)
		if (worker_set_listeners(daemon->workers[i], daemon->listeners,
					 daemon->n_listeners) < 0)
			log_error("no memory for the new listeners; "
				  "a worker goes on with the old ones");
	sockets_store(daemon);
}

void sockets_sweep(void *context)
{
	struct daemon *daemon = context;

	list_for_each (node, next, &daemon->leaving) {
		struct listener *listener = list_entry(node, struct listener, node);

		if (!listener_is_shared(listener)) {
			list_remove(node);
			listener_unref(listener);
		}
	}
}

void sockets_store(struct daemon *daemon)
{
	int *fds = calloc(daemon->n_listeners + 1, sizeof(*fds));
	size_t n = 0;

	if (!fds || !service_is_managed(&daemon->service)) {
		free(fds);
		return;
	}
	for (size_t i = 0; i < daemon->n_listeners; i++) {
		if (daemon->listeners[i]->name)
			continue;
		fds[n++] = daemon->listeners[i]->fd;
		/* The next process takes the socket as it is: it must be found at its path. */
		listener_leave_file(daemon->listeners[i]);
	}
	service_store(&daemon->service, fds, n);
	free(fds);
}

void sockets_close(struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->n_listeners; i++)
		listener_unref(daemon->listeners[i]);
	daemon->n_listeners = 0;
	free(daemon->listeners);
	daemon->listeners = NULL;
	list_for_each (node, next, &daemon->leaving) {
		list_remove(node);
		listener_unref(list_entry(node, struct listener, node));
	}
}
