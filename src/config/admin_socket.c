/* SPDX-License-Identifier: Apache-2.0 */
#include "config/admin_socket.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/str.h"

#define SYSTEM_DIRECTORY "/run/nexusd"
#define SOCKET_NAME      "admin.sock"

const char *admin_socket_path(size_t index, char path[static ADMIN_SOCKET_MAX])
{
	struct str runtime = str_of(getenv("RUNTIME_DIRECTORY"));
	struct str user = str_of(getenv("XDG_RUNTIME_DIR"));
	size_t n_places = user.n && !runtime.n ? 2 : 1;
	const struct {
		struct str folder;
		const char *below;
	} places[] = {
		{runtime.n ? str_split(&runtime, ':') : STR_LITERAL(SYSTEM_DIRECTORY), ""},
		{user, "/nexusd"},
	};
	int n;

	if (index >= n_places)
		return NULL;
	n = snprintf(path, ADMIN_SOCKET_MAX, "%.*s%s/" SOCKET_NAME, (int)places[index].folder.n,
		     places[index].folder.p, places[index].below);
	if (n >= ADMIN_SOCKET_MAX)
		path[0] = '\0';
	return path;
}
