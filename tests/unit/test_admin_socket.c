/* SPDX-License-Identifier: Apache-2.0 */
#include "config/admin_socket.h"

#include <stdlib.h>

#include "base/attr.h"
#include "tap.h"

static char long_folder[200];

static const struct {
	const char *what, *runtime, *user, *first, *second; /* NULL: not set */
} rows[] = {
	{"nothing is set", NULL, NULL, "/run/nexusd/admin.sock", "none"},
	{"a user", NULL, "/run/user/7", "/run/nexusd/admin.sock", "/run/user/7/nexusd/admin.sock"},
	{"a service", "/run/x", "/run/user/7", "/run/x/admin.sock", "none"},
	{"a service with two folders", "/run/x:/run/y", NULL, "/run/x/admin.sock", "none"},
	{"set to nothing", "", "/u", "/run/nexusd/admin.sock", "/u/nexusd/admin.sock"},
	{"both set to nothing", "", "", "/run/nexusd/admin.sock", "none"},
	{"too long for an address", long_folder, NULL, "", "none"},
};

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

int main(void)
{
	memset(long_folder, 'x', sizeof(long_folder) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char path[ADMIN_SOCKET_MAX];

		set("RUNTIME_DIRECTORY", rows[i].runtime);
		set("XDG_RUNTIME_DIR", rows[i].user);
		is_text(admin_socket_path(0, path), rows[i].first, "%s: the first", rows[i].what);
		is_text(admin_socket_path(1, path) ? path : "none", rows[i].second,
			"%s: the second", rows[i].what);
		ok(!admin_socket_path(2, path), "%s: no third", rows[i].what);
	}
	return tap_done();
}
