/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many clients are connected, over all workers and by address, and how much the bodies of their
 * requests take, against the ceilings of the configuration. Beyond the number of connections there
 * is a reserve, so that whoever watches nexusd still gets an answer in a flood. Owned by the
 * daemon, shared by all threads; asked when a connection opens and when it closes, and by a request
 * for each piece of its body.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

/* Places beyond the ceiling, and as many again beyond those for the admin face alone. */
#define CENSUS_RESERVE 32

struct census;
struct sockaddr_storage;

enum census_place {
	CENSUS_REGULAR,
	CENSUS_RESERVED, /* beyond the ceiling: only what an operator needs is answered there */
	CENSUS_FULL,     /* none was taken */
};

/* What of an address counts: all of IPv4, the first 64 bits of IPv6, of which a client has as many
 * as it likes. Empty for a connection that is not counted by address. */
struct census_origin {
	uint8_t n_bytes, bytes[8];
};

struct census_ceilings {
	uint64_t connections;
	uint64_t per_address; /* 0: none */
	uint64_t body_bytes;
};

/* NULL for no memory. */
struct census *census_new(void) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct census *census_free(struct census *census);
/* Who is connected stays. */
void census_set_ceilings(struct census *census, const struct census_ceilings *ceilings);

/* A place for one more connection; any but CENSUS_FULL is given back with census_leave(). */
enum census_place census_enter(struct census *census, bool is_admin) MUST_CHECK;
void census_leave(struct census *census);

/* False: as many connections of this address as may be are there. Else *ret_origin is what
 * census_forget() has to be given. */
bool census_admit(struct census *census, const struct sockaddr_storage *address,
		  struct census_origin *ret_origin) MUST_CHECK;
void census_forget(struct census *census, const struct census_origin *origin);

/* Room for so many bytes of a body, which are given back with census_release(). */
bool census_hold(struct census *census, uint64_t bytes) MUST_CHECK;
void census_release(struct census *census, uint64_t bytes);
