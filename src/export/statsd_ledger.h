/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was sent of every counter, in the registry's integers. A packet that goes out claims what
 * it holds; until its fate is known the claim is in flight and can be rolled back. A histogram has
 * the places of its cells: how many observations were sent where its sequence is, then the sum and
 * the buckets. For the main thread.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "metrics/snapshot.h"

/* One line's part of a packet. */
struct statsd_claim {
	uint64_t place, amount;
	uint64_t end; /* bytes from the packet's start, in flight from the ledger's, to the line's
		       * end */
};

struct statsd_ledger {
	uint64_t *sent; /* by place */
	size_t n_places;
	struct buf in_flight;       /* of struct statsd_claim, in the order of sending */
	uint64_t position, settled; /* bytes: sent, and of these known not to come back */
};

void statsd_ledger_init(struct statsd_ledger *ledger);
void statsd_ledger_done(struct statsd_ledger *ledger);

/* The first place of a sample, which then has room for all of its cells. -ENOMEM, and -ENOENT for
 * a provided value with labels, of which no account can be kept. */
int statsd_ledger_place(struct statsd_ledger *ledger, const struct sample *sample,
			uint64_t *ret_place) MUST_CHECK;
/* What of `total` was not sent yet. */
uint64_t statsd_ledger_unsent(const struct statsd_ledger *ledger, uint64_t place, uint64_t total);

/* Takes what the registry holds now as sent. -ENOMEM. */
int statsd_ledger_start_here(struct statsd_ledger *ledger, struct registry *registry) MUST_CHECK;

/* A packet of so many bytes goes out with these claims. -ENOMEM, -EMSGSIZE: it must not. */
int statsd_ledger_claim(struct statsd_ledger *ledger, const struct statsd_claim *claims, size_t n,
			size_t n_bytes) MUST_CHECK;
/* It did not go out: takes the last claim back. */
void statsd_ledger_disclaim(struct statsd_ledger *ledger, size_t n, size_t n_bytes);
/* All lines up to this position have arrived, or are out of reach. */
void statsd_ledger_settle(struct statsd_ledger *ledger, uint64_t position);
/* Nothing that is in flight has arrived. */
void statsd_ledger_roll_back(struct statsd_ledger *ledger);
