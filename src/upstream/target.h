/* SPDX-License-Identifier: Apache-2.0 */
/* Where a transfer goes: everything upstream/ knows of a backend. Borrowed from its owner for as
 * long as the transfer runs. */
#pragma once

enum target_transport { TARGET_HTTP, TARGET_DEMO };

struct target {
	enum target_transport transport;
	const char *url;           /* scheme://host[:port][/prefix], no trailing slash */
	const char *address;       /* of its host, in digits: connect to it; NULL: any it has */
	const char *authorization; /* value of the Authorization header, or NULL; secret */
	const char *ca_file;       /* or NULL: the system's store */
};
