/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/opening.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/i18n.h"
#include "base/log.h"
#include "config/admin_socket.h"
#include "config/config_error.h"
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

/* By the address as it was written: it may name port 0, or be a name that resolves to another
 * address today. */
static bool was_asked(const struct opening_socket *candidate, const char *address)
{
	const struct listener *listener = candidate->listener;

	return listener && listener->asked && strcmp(listener->asked, address) == 0;
}

/* The row of the configuration that a socket stands for; NULL for none. */
static const struct listener_config *take_row(struct opening *opening,
					      const struct opening_socket *candidate)
{
	const struct config *config = opening->config;
	size_t at = config->n_listeners;

	for (size_t i = 0; i < config->n_listeners && at == config->n_listeners; i++)
		if (!opening->taken[i] && was_asked(candidate, config->listeners[i].address))
			at = i;
	for (size_t i = 0; i < config->n_listeners && at == config->n_listeners; i++)
		if (!opening->taken[i] &&
		    listener_has_address(candidate->fd, config->listeners[i].address))
			at = i;
	if (at == config->n_listeners)
		return NULL;
	opening->taken[at] = true;
	return &config->listeners[at];
}

/* NULL, or why a socket that was passed may not have these faces. */
static const char *candidate_check(const struct opening *opening,
				   const struct opening_socket *candidate,
				   const struct listener_config *row, unsigned faces)
{
	bool asks_client = row && row->tls.client_ca;

	if (!faces)
		return "is no configured listener and its name is no face; set its address in "
		       "listeners, or FileDescriptorName= to api, metrics or admin";
	if ((faces & FACE_API) && !opening->config->allow_unauthenticated && !asks_client &&
	    !listener_is_local(candidate->fd))
		return "takes anybody's requests; set allow_unauthenticated = true if that is "
		       "meant";
	if ((faces & FACE_ADMIN) && !listener_is_unix(candidate->fd))
		return "would let anybody reload and drain; the face admin takes a unix socket";
	return NULL;
}

/* The text is for the log alone; without memory for it, -errno has to say it. */
static int refuse(const struct opening *opening, const struct opening_socket *candidate,
		  const char *wrong)
{
	(void)!buf_printf(opening->error, "inherited socket %d (%s) %s", candidate->fd,
			  candidate->name ? candidate->name : "without a name", wrong);
	return -EINVAL;
}

/* What is listened for at a socket. */
struct purpose {
	unsigned faces, unix_mode;
	struct tls *tls; /* a reference */
	const char *asked;
};

static bool serves(const struct listener *listener, const struct purpose *purpose)
{
	return listener->faces == purpose->faces && listener->unix_mode == purpose->unix_mode &&
	       tls_is_equal(listener->tls, purpose->tls);
}

static int give_purpose(struct listener *listener, const struct purpose *purpose)
{
	listener->unix_mode = purpose->unix_mode;
	listener->tls = tls_ref(purpose->tls);
	listener->asked = purpose->asked ? str_dup(str_of(purpose->asked)) : NULL;
	return purpose->asked && !listener->asked ? -ENOMEM : 0;
}

/* One that serves the purpose already stays as it is, and so do its clients. */
static int adopt_for(struct opening *opening, const struct opening_socket *candidate,
		     const struct purpose *purpose)
{
	struct listener **place = &opening->listeners[opening->n];
	int fd, r;

	if (candidate->listener && !candidate->is_leaving && serves(candidate->listener, purpose)) {
		*place = listener_ref(candidate->listener);
		opening->n++;
		return 0;
	}
	fd = fcntl(candidate->fd, F_DUPFD_CLOEXEC, 0);
	r = fd < 0 ? -errno : listener_adopt(fd, purpose->faces, candidate->name, place);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		if (r == -ENOMEM)
			return r;
		return refuse(opening, candidate, r == -EINVAL ? "does not listen" : strerror(-r));
	}
	opening->n++;
	return give_purpose(*place, purpose);
}

static int adopt(struct opening *opening, const struct opening_socket *candidate)
{
	const struct listener_config *row = take_row(opening, candidate);
	struct purpose purpose = {.faces = faces_of_name(candidate->name)};
	const char *wrong;
	int r;

	/* The admin socket, or of another configuration. */
	if (!row && (!candidate->name || candidate->is_leaving))
		return 0;
	if (row)
		purpose = (struct purpose){row->faces, row->mode, NULL, row->address};
	wrong = candidate_check(opening, candidate, row, purpose.faces);
	if (wrong)
		return refuse(opening, candidate, wrong);
	r = row ? tls_load(row, &purpose.tls, opening->error) : 0;
	if (r == 0)
		r = adopt_for(opening, candidate, &purpose);
	tls_unref(purpose.tls);
	return r;
}

static const char *listen_advice(int error)
{
	switch (-error) {
	case EADDRINUSE:
		return N_("end what listens there, or choose another address");
	case EADDRNOTAVAIL:
		return N_("choose an address that this machine has");
	case ENOENT:
		return N_("make the folder for it, or choose another path");
	case EACCES:
	case EPERM:
		return N_("permit it to the user that nexusd runs as, or choose another address");
	default:
		return N_("choose another address");
	}
}

static int open_configured(struct opening *opening, const struct listener_config *row)
{
	struct purpose purpose = {row->faces, row->mode, NULL, row->address};
	struct listener **place = &opening->listeners[opening->n];
	int r = tls_load(row, &purpose.tls, opening->error);

	if (r < 0)
		return r;
	r = listener_open(row->address, row->faces, row->mode, place);
	if (r == 0) {
		opening->n++;
		r = give_purpose(*place, &purpose);
	} else {
		r = config_error(opening->error, row->origin, "cannot listen on %s: %s; %s",
				 row->address, strerror(-r), _(listen_advice(r)));
	}
	tls_unref(purpose.tls);
	return r;
}

/* -ENOENT: no process and no configuration before this one had it. */
static int adopt_admin(struct opening *opening, const char *address)
{
	const struct purpose purpose = {.faces = ADMIN_FACES, .unix_mode = ADMIN_MODE};

	for (size_t i = 0; i < opening->n; i++)
		if (strcmp(opening->listeners[i]->address, address) == 0)
			return -EADDRINUSE;
	for (size_t i = 0; i < opening->n_candidates; i++)
		if (listener_has_address(opening->candidates[i].fd, address))
			return adopt_for(opening, &opening->candidates[i], &purpose);
	return -ENOENT;
}

/* Makes the folder when that is ours to do. */
static int open_admin_at(struct opening *opening, char *path)
{
	char address[ADMIN_SOCKET_MAX + sizeof("unix:")];
	char *slash = strrchr(path, '/');
	int r;

	snprintf(address, sizeof(address), "unix:%s", path);
	r = adopt_admin(opening, address);
	if (r != -ENOENT)
		return r;
	if (slash) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	r = listener_open(address, ADMIN_FACES, ADMIN_MODE, &opening->listeners[opening->n]);
	if (r == 0)
		opening->listeners[opening->n++]->unix_mode = ADMIN_MODE;
	return r;
}

/* Where nexusctl looks. All faces, so that one socket is enough for it. Without it nexusd serves
 * as well, so that nothing here is an error. */
static void open_admin(struct opening *opening)
{
	char path[ADMIN_SOCKET_MAX];
	int r = -ENOENT;

	for (size_t i = 0; i < opening->n; i++)
		if (opening->listeners[i]->faces & FACE_ADMIN)
			return;
	for (size_t i = 0; r < 0 && admin_socket_path(i, path); i++)
		r = *path ? open_admin_at(opening, path) : -ENAMETOOLONG;
	if (r < 0)
		log_notice("no admin socket at %s: %s; nexusctl cannot ask this process unless a "
			   "listener on a unix socket has the face admin",
			   *path ? path : "its usual place", strerror(-r));
}

static int make(struct opening *opening)
{
	const struct config *config = opening->config;
	int r = 0;

	for (size_t i = 0; i < opening->n_candidates && r == 0; i++)
		r = adopt(opening, &opening->candidates[i]);
	for (size_t i = 0; i < config->n_listeners && r == 0; i++)
		if (!opening->taken[i])
			r = open_configured(opening, &config->listeners[i]);
	if (r == 0)
		open_admin(opening);
	return r;
}

int opening_make(struct opening *opening)
{
	size_t n = opening->config->n_listeners;
	int r = -ENOMEM;

	opening->n = 0;
	opening->taken = calloc(n + 1, sizeof(*opening->taken));
	opening->listeners = calloc(n + opening->n_candidates + 1, sizeof(struct listener *));
	if (opening->taken && opening->listeners)
		r = make(opening);
	free(opening->taken);
	opening->taken = NULL;
	if (r < 0)
		opening_abandon(opening);
	return r;
}

int opening_own_files(const struct opening *opening)
{
	int r = 0;

	for (size_t i = 0; i < opening->n && r == 0; i++)
		if (!opening->listeners[i]->name)
			r = listener_own_file(opening->listeners[i]);
	return r;
}

void opening_abandon(struct opening *opening)
{
	for (size_t i = 0; i < opening->n; i++)
		listener_unref(opening->listeners[i]);
	free(opening->listeners);
	opening->listeners = NULL;
	opening->n = 0;
}
