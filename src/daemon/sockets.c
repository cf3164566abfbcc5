/* SPDX-License-Identifier: Apache-2.0 */
/* The listeners: those the service manager handed over, matched to the configuration by address or
 * by name, and the rest opened here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/admin_socket.h"
#include "daemon/daemon_state.h"

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

static int adopt(struct daemon *daemon, struct service_socket *socket, bool *taken)
{
	const struct config *config = daemon->config;
	ssize_t at = find_configured(config, socket->fd);
	unsigned faces = at >= 0 ? config->listeners[at].faces : faces_of_name(socket->name);
	struct listener *listener;
	int r;

	if (at < 0 && is_own(socket))
		return 0; /* the admin socket, or of another configuration */
	if (!faces) {
		log_event(MESSAGE_START_FAILED,
			  "inherited socket %d (%s) is no configured listener and its name is no "
			  "face; set its address in listeners, or FileDescriptorName= to api, "
			  "metrics or admin",
			  socket->fd, socket->name ? socket->name : "without a name");
		return -EINVAL;
	}
	if ((faces & FACE_API) && !config->allow_unauthenticated &&
	    !listener_is_local(socket->fd)) {
		log_event(MESSAGE_START_FAILED,
			  "inherited socket %d (%s) takes anybody's requests; set "
			  "allow_unauthenticated = true if that is meant",
			  socket->fd, socket->name ? socket->name : "without a name");
		return -EINVAL;
	}
	if ((faces & FACE_ADMIN) && !listener_is_unix(socket->fd)) {
		log_event(MESSAGE_START_FAILED,
			  "inherited socket %d (%s) would let anybody reload and drain; the face "
			  "admin takes a unix socket",
			  socket->fd, socket->name ? socket->name : "without a name");
		return -EINVAL;
	}
	r = listener_adopt(socket->fd, faces, is_own(socket) ? NULL : socket->name, &listener);
	if (r < 0) {
		log_event(MESSAGE_START_FAILED, "inherited socket %d does not listen: %s",
			  socket->fd, strerror(-r));
		return r;
	}
	socket->fd = -1;
	daemon->listeners[daemon->n_listeners++] = listener;
	if (at >= 0)
		taken[at] = true;
	return is_own(socket) ? listener_own_file(listener, config->listeners[at].mode) : 0;
}

static int open_configured(struct daemon *daemon, const struct listener_config *config)
{
	struct listener *listener;
	struct buf error;
	int r;

	buf_init(&error, 1024);
	r = listener_open(config->address, config->faces, config->mode, &listener, &error);
	if (r == 0)
		daemon->listeners[daemon->n_listeners++] = listener;
	else if (config->origin.file)
		log_event(MESSAGE_START_FAILED, "%s:%u: %.*s", config->origin.file,
			  config->origin.line, (int)error.len, error.len ? error.data : "");
	else
		log_event(MESSAGE_START_FAILED, "%.*s", (int)error.len,
			  error.len ? error.data : "");
	buf_done(&error);
	return r;
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
static int open_admin_at(struct daemon *daemon, char *path, struct buf *error)
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
			     &daemon->listeners[daemon->n_listeners], error);
}

/* Where nexusctl looks. All faces, so that one socket is enough for it. Without it nexusd serves
 * as well, so that nothing here is an error. */
static void open_admin(struct daemon *daemon)
{
	char path[ADMIN_SOCKET_MAX];
	struct buf error;
	int r = -ENOENT;

	for (size_t i = 0; i < daemon->n_listeners; i++)
		if (daemon->listeners[i]->faces & FACE_ADMIN)
			return;
	buf_init(&error, 1024);
	for (size_t i = 0; r < 0 && admin_socket_path(i, path); i++) {
		buf_clear(&error);
		if (*path)
			r = open_admin_at(daemon, path, &error);
	}
	if (r == 0)
		daemon->n_listeners++;
	else
		log_notice("no admin socket, nexusctl cannot ask this process: %.*s",
			   (int)error.len, error.len ? error.data : "");
	buf_done(&error);
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

int sockets_open(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	bool *taken = calloc(config->n_listeners + 1, sizeof(*taken));
	int r = taken ? 0 : -ENOMEM;

	daemon->listeners =
		calloc(config->n_listeners + daemon->n_inherited + 1, sizeof(struct listener *));
	if (!daemon->listeners)
		r = -ENOMEM;
	for (size_t i = 0; i < daemon->n_inherited && r == 0; i++)
		r = adopt(daemon, &daemon->inherited[i], taken);
	for (size_t i = 0; i < config->n_listeners && r == 0; i++)
		if (!taken[i])
			r = open_configured(daemon, &config->listeners[i]);
	if (r == 0)
		open_admin(daemon);
	close_left_over(daemon);
	free(taken);
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
