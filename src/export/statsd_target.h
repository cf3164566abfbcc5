/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the receiver is: what its address stands for now. A name is asked for again when it is
 * old or the receiver failed; until the answer is there the addresses known stay in force. For the
 * loop's thread.
 */
#pragma once

#include "base/attr.h"
#include "config/endpoint.h"
#include "loop/resolver.h"

struct statsd_target {
	struct loop *loop;
	struct resolver *resolver;
	struct resolver_query *query; /* NULL: none is under way */
	char address[RESOLVER_HOST_BYTES + 64];
	struct endpoint_receiver receiver; /* slices of `address` */
	bool is_name;                      /* that has to be resolved */
	uint64_t asked_ns;
	struct resolver_answer known; /* n 0: nothing yet */
	size_t current;               /* of these */
	/* The current address is no longer the one it was, or there is none, for this reason. */
	void (*changed)(struct statsd_target *target, const char *error);
};

void statsd_target_init(struct statsd_target *target, struct loop *loop, struct resolver *resolver,
			void (*changed)(struct statsd_target *target, const char *error));
void statsd_target_done(struct statsd_target *target);
/* `address` is a correct one. */
void statsd_target_set(struct statsd_target *target, const char *address);
/* NULL while it is not known. */
const struct resolver_address *statsd_target_address(const struct statsd_target *target);
/* Asks for the name again if its addresses are old. */
void statsd_target_refresh(struct statsd_target *target);
/* The address did not answer: the next one is tried, and the name asked for again. */
void statsd_target_failed(struct statsd_target *target);
