/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of the two kinds of network place in the configuration: base URLs of backends
 * (RFC 3986, http and https only) and addresses of listeners. Nothing is resolved here.
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

/* NULL when it is host:port, [v6]:port or unix:/path, else what is wrong. */
const char *endpoint_address_check(const char *address);
/* Of a correct address: can only this machine reach it? A name other than localhost counts as
 * reachable from elsewhere. */
bool endpoint_address_is_local(const char *address);
/* Of a correct address: does the kernel choose the port? */
bool endpoint_address_is_ephemeral(const char *address);
