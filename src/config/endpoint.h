/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of the kinds of network place in the configuration: base URLs of backends (RFC 3986,
 * http and https only), addresses of listeners and of receivers of metrics, origins of web pages.
 * Nothing is resolved here.
 * What is wrong comes back as a constant "is …; what to do" that fits behind an option's name and
 * quotes nothing, since a URL may hold a password.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

/* The URL with its scheme in lower case and without slashes or /v1 at the end (malloc'ed).
 * -EINVAL with *ret_wrong, -ENOMEM. */
int endpoint_url_parse(struct str url, char **ret_url, const char **ret_wrong) MUST_CHECK;

/* Of a correct URL: its host, when that is a name and no address. */
bool endpoint_url_host_name(const char *url, struct str *ret_host);

/* NULL when it is host:port, [v6]:port or unix:/path, else what is wrong. */
const char *endpoint_address_check(const char *address);
/* Of a correct address: can only this machine reach it? A name other than localhost counts as
 * reachable from elsewhere. */
bool endpoint_address_is_local(const char *address);
/* Of a correct address: does the kernel choose the port? */
bool endpoint_address_is_ephemeral(const char *address);

/* Is it an origin as browsers write it: scheme://host[:port], in lower case? */
bool endpoint_is_origin(struct str origin);

/* X(id, what its addresses begin with) */
#define ENDPOINT_TRANSPORTS(X) \
	X(UDP, "udp://")       \
	X(TCP, "tcp://")       \
	X(UNIXGRAM, "unixgram://")

enum endpoint_transport {
#define X(id, scheme) ENDPOINT_##id,
	ENDPOINT_TRANSPORTS(X)
#undef X
};

/* Slices of the address. */
struct endpoint_receiver {
	enum endpoint_transport transport;
	struct str host; /* without brackets; the path for UNIXGRAM */
	struct str port; /* empty for UNIXGRAM */
};

/* NULL when it is udp://host:port, tcp://host:port or unixgram:///path, else what is wrong. */
const char *endpoint_receiver_parse(const char *address, struct endpoint_receiver *ret_receiver);
