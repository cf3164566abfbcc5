/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/admin_place.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/i18n.h"

/* The first that may be used, else the first that is there; false for none. */
static bool find_socket(char path[static ADMIN_SOCKET_MAX])
{
	char candidate[ADMIN_SOCKET_MAX];
	bool found = false;

	for (size_t i = 0; admin_socket_path(i, candidate); i++) {
		bool usable = access(candidate, R_OK | W_OK) == 0;

		/* A folder that may not be looked into may hold one. */
		if (usable || (!found && (access(candidate, F_OK) == 0 || errno == EACCES))) {
			memcpy(path, candidate, ADMIN_SOCKET_MAX);
			found = true;
		}
		if (usable)
			break;
	}
	return found;
}

static int say_permission(struct response *answer, const char *path)
{
	struct stat file;
	const struct group *group = stat(path, &file) == 0 ? getgrgid(file.st_gid) : NULL;

	/* Joining root's group is no advice. */
	if (group && file.st_gid != 0)
		return response_fail(
			answer, CTL_UNREACHABLE,
			_("permission denied at %s; add yourself to the group %s and log in "
			  "again, or ask as root"),
			path, group->gr_name);
	return response_fail(answer, CTL_UNREACHABLE,
			     _("permission denied at %s; ask as its owner or as root"), path);
}

int admin_place_probe(const char *path, struct response *answer)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

	memcpy(address.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	switch (error) {
	case 0:
		return CTL_OK;
	case EACCES:
	case EPERM:
		return say_permission(answer, path);
	case ENOENT:
		return response_fail(answer, CTL_UNREACHABLE,
				     _("there is no %s; start nexusd, or name its admin socket "
				       "with --socket if that is elsewhere"),
				     path);
	case ECONNREFUSED:
		return response_fail(answer, CTL_UNREACHABLE,
				     _("nobody listens at %s; start nexusd, or name its admin "
				       "socket with --socket if that is elsewhere"),
				     path);
	default:
		return response_fail(answer, CTL_UNREACHABLE, _("cannot ask at %s: %s"), path,
				     strerror(error));
	}
}

int admin_place_find(const char *named, char path[static ADMIN_SOCKET_MAX], struct response *answer)
{
	if (named && strlen(named) >= ADMIN_SOCKET_MAX)
		return response_fail(answer, CTL_USAGE, _("the path of the socket is too long: %s"),
				     named);
	if (named)
		snprintf(path, ADMIN_SOCKET_MAX, "%s", named);
	else if (!find_socket(path))
		(void)admin_socket_path(0, path);
	return admin_place_probe(path, answer);
}
