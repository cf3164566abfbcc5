/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the registry counted, as bytes that another nexusd, perhaps of another version, adds to its
 * own registry. Families and labels go by their names and buckets by their bounds, so that the two
 * need not have the same catalogue. Gauges and infos are no counts: they stay where they are.
 * For one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "metrics/registry.h"

enum { TRANSCRIPT_MAX_BYTES = 32768 }; /* of one piece */

struct transcript {
	struct registry *registry;
	bool is_begun;  /* later pieces leave out what was not counted */
	uint64_t *told; /* of every cell */
	size_t n_told;
	struct buf piece, record; /* being written */
	/* Gets pieces that can each be read alone; not 0: no further ones are made. */
	int (*send)(void *context, struct str piece);
	void *context;
};

void transcript_init(struct transcript *transcript, struct registry *registry,
		     int (*send)(void *context, struct str piece), void *context);
void transcript_done(struct transcript *transcript);
/* Sends what was counted since the last call: everything at the first. -ENOMEM: some comes with the
 * next call. What else `send` returned: some is lost. */
int transcript_send(struct transcript *transcript) MUST_CHECK;

/* Adds a piece to `slab`, and makes what it counts as old as it is. What this version does not
 * count is left out. -EINVAL: the piece is none; what stands before its fault was added. */
int transcript_absorb(struct registry *registry, struct slab *slab, struct str piece) MUST_CHECK;
