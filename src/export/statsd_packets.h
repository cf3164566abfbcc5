/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packets of one push: as many whole lines as fit into each, and what each line claims of the
 * ledger. For the main thread.
 */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "export/statsd_ledger.h"

struct statsd_packet {
	struct str text;
	const struct statsd_claim *claims;
	size_t n_claims;
};

struct statsd_packets {
	struct buf text, claims, spans; /* of bytes, of struct statsd_claim, of one span a packet */
	size_t max_bytes;
	size_t next; /* the first one that is not taken */
};

void statsd_packets_init(struct statsd_packets *packets);
void statsd_packets_done(struct statsd_packets *packets);
/* Empties it; those to come hold at most so many bytes. */
void statsd_packets_clear(struct statsd_packets *packets, size_t max_bytes);

/* Adds a line, with the line feed at its end, that accounts for `amount` at a place of the ledger;
 * amount 0: for nothing. -EMSGSIZE: the line is longer than a packet, or there are too many.
 * -ENOMEM. */
int statsd_packets_append(struct statsd_packets *packets, struct str line, uint64_t place,
			  uint64_t amount) MUST_CHECK;

/* The next packet, borrowed until one is appended; false at the end. It stays the next one until
 * statsd_packets_take(). */
bool statsd_packets_next(const struct statsd_packets *packets, struct statsd_packet *ret_packet);
void statsd_packets_take(struct statsd_packets *packets);
