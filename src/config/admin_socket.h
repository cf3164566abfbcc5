/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the admin socket is when no listener has the face admin. nexusd opens it in the first of
 * these folders that it may write, nexusctl asks at the first that is there.
 */
#pragma once

#include <stddef.h>

enum { ADMIN_SOCKET_MAX = 108 }; /* what a unix address holds, its NUL included */

/*
 * The path number `index`: in $RUNTIME_DIRECTORY, else in /run/nexusd and $XDG_RUNTIME_DIR/nexusd.
 * Returns `path`; NULL past the last one. One that is too long for an address is "".
 */
const char *admin_socket_path(size_t index, char path[static ADMIN_SOCKET_MAX]);
