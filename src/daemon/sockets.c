/* SPDX-License-Identifier: Apache-2.0 */
/* The listeners: those the service manager handed over, matched to the configuration by address or
 * by name, and the rest opened here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/admin_socket.h"
#include "config/config_error.h"
#include "daemon/daemon_state.h"
#include "http/tls.h"

enum { ADMIN_FACES = FACE_API | FACE_METRICS | FACE_ADMIN, ADMIN_MODE = 0660 };

static const struct {
	const char *name;
	unsigned face;
} named_faces[] = {{"api", FACE_API}, {"metrics", FACE_METRICS}, {"admin", FACE_ADMIN}};

static unsigned faces_of_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(named_faces); i++)
		if (name && strcmp(name, named_faces[i].name) == 0)
			return named_faces[i].face;
	return 0;
}

/* The configured listener that an inherited socket stands for; -1 for none. */
static ssize_t find_configured(const struct config *config, int fd)
{
	for (size_t i = 0; i < config->n_listeners; i++)
		if (listener_has_address(fd, config->listeners[i].address))
			return (ssize_t)i;
	return -1;
}

static bool is_own(const struct service_socket *socket)
{
	return socket->name && strcmp(socket->name, SERVICE_OWN_NAME) == 0;
}

/* NULL, or why a socket that was passed may not have these faces. */
static const char *adoption_check(const struct daemon *daemon, const struct service_socket *socket,
				  unsigned faces, bool asks_client)
{
	if (!faces)
		return "is no configured listener and its name is no face; set its address in "
		       "listeners, or FileDescriptorName= to api, metrics or admin";
	if ((faces & FACE_API) && !daemon->config->allow_unauthenticated && !asks_client &&
	    !listener_is_local(socket->fd))
		return "takes anybody's requests; set allow_unauthenticated = true if that is "
		       "meant";
	if ((faces & FACE_ADMIN) && !listener_is_unix(socket->fd))
		return "would let anybody reload and drain; the face admin takes a unix socket";
	return NULL;
}

/* The text is for the log; without memory for it, -errno has to say it. */
static int refuse_socket(const struct service_socket *socket, const char *wrong, struct buf *error)
{
	(void)!buf_printf(error, "inherited socket %d (%s) %s", socket->fd,
			  socket->name ? socket->name : "without a name", wrong);
	return -EINVAL;
}

static int adopt(struct daemon *daemon, struct service_socket *socket, bool *taken,
		 struct buf *error)
{
	const struct config *config = daemon->config;
	ssize_t at = find_configured(config, socket->fd);
	const struct listener_config *row = at >= 0 ? &config->listeners[at] : NULL;
	unsigned faces = row ? row->faces : faces_of_name(socket->name);
	const char *wrong = adoption_check(daemon, socket, faces, row && row->tls.client_ca);
	struct listener *listener;
	struct tls *tls = NULL;

	if (!row && is_own(socket))
		return 0; /* the admin socket, or of another configuration */
	if (wrong)
		return refuse_socket(socket, wrong, error);
	if (row && tls_load(row, &tls, error) < 0)
		return -EINVAL;
	if (listener_adopt(socket->fd, faces, is_own(socket) ? NULL : socket->name, &listener) <
	    0) {
		tls_unref(tls);
		return refuse_socket(socket, "does not listen", error);
	}
	socket->fd = -1;
	listener->tls = tls;
	daemon->listeners[daemon->n_listeners++] = listener;
	if (row)
		taken[at] = true;
	return row && is_own(socket) ? listener_own_file(listener, row->mode) : 0;
}

static int open_configured(struct daemon *daemon, const struct listener_config *config,
			   struct buf *error)
{
	struct listener *listener;
	struct tls *tls;
	int r = tls_load(config, &tls, error);

	if (r < 0)
		return r;
	r = listener_open(config->address, config->faces, config->mode, &listener);
	if (r < 0) {
		tls_unref(tls);
		return config_error(error, config->origin, "cannot listen on %s: %s",
				    config->address, strerror(-r));
	}
	listener->tls = tls;
	daemon->listeners[daemon->n_listeners++] = listener;
	return 0;
}

/* -ENOENT: no process before this one had it. */
static int adopt_admin(struct daemon *daemon, const char *address)
{
	for (size_t i = 0; i < daemon->n_inherited; i++) {
		struct service_socket *socket = &daemon->inherited[i];
		struct listener **listener = &daemon->listeners[daemon->n_listeners];
		int r;

		if (socket->fd < 0 || !listener_has_address(socket->fd, address))
			continue;
		r = listener_adopt(socket->fd, ADMIN_FACES, NULL, listener);
		if (r < 0)
			return r;
		socket->fd = -1;
		r = listener_own_file(*listener, ADMIN_MODE);
		if (r < 0)
			listener_free(*listener);
		return r;
	}
	return -ENOENT;
}

/* Makes the folder when that is ours to do. */
static int open_admin_at(struct daemon *daemon, char *path)
{
	char address[ADMIN_SOCKET_MAX + sizeof("unix:")];
	char *slash = strrchr(path, '/');
	int r;

	snprintf(address, sizeof(address), "unix:%s", path);
	r = adopt_admin(daemon, address);
	if (r != -ENOENT)
		return r;
	if (slash) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	return listener_open(address, ADMIN_FACES, ADMIN_MODE,
			     &daemon->listeners[daemon->n_listeners]);
}

/* Where nexusctl looks. All faces, so that one socket is enough for it. Without it nexusd serves
 * as well, so that nothing here is an error. */
static void open_admin(struct daemon *daemon)
{
	char path[ADMIN_SOCKET_MAX];
	int r = -ENOENT;

	for (size_t i = 0; i < daemon->n_listeners; i++)
		if (daemon->listeners[i]->faces & FACE_ADMIN)
			return;
	for (size_t i = 0; r < 0 && admin_socket_path(i, path); i++)
		if (*path)
			r = open_admin_at(daemon, path);
	if (r == 0)
		daemon->n_listeners++;
	else
		log_notice("no admin socket, nexusctl cannot ask this process: %s", strerror(-r));
}

/* Of processes with another configuration. */
static void close_left_over(struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->n_inherited; i++)
		if (daemon->inherited[i].fd >= 0)
			close(daemon->inherited[i].fd);
	daemon->inherited = service_sockets_free(daemon->inherited, daemon->n_inherited);
	daemon->n_inherited = 0;
}

static int open_all(struct daemon *daemon, bool *taken, struct buf *error)
{
	const struct config *config = daemon->config;
	int r = 0;

	for (size_t i = 0; i < daemon->n_inherited && r == 0; i++)
		r = adopt(daemon, &daemon->inherited[i], taken, error);
	for (size_t i = 0; i < config->n_listeners && r == 0; i++)
		if (!taken[i])
			r = open_configured(daemon, &config->listeners[i], error);
	if (r == 0)
		open_admin(daemon);
	return r;
}

int sockets_open(struct daemon *daemon)
{
	size_t n = daemon->config->n_listeners;
	bool *taken = calloc(n + 1, sizeof(*taken));
	struct buf error;
	int r = -ENOMEM;

	buf_init(&error, 8192);
	daemon->listeners = calloc(n + daemon->n_inherited + 1, sizeof(struct listener *));
	if (daemon->listeners && taken)
		r = open_all(daemon, taken, &error);
	if (r < 0 && r != -ENOMEM)
		log_event(MESSAGE_START_FAILED, "%.*s", (int)error.len,
			  error.len ? error.data : "");
	close_left_over(daemon);
	buf_done(&error);
	free(taken);
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
		listener_free(daemon->listeners[i]);
	daemon->n_listeners = 0;
	free(daemon->listeners);
	daemon->listeners = NULL;
}
