/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings packets to the receiver: connects, paces, and tells the ledger which of them arrived, as
 * far as can be known. It never waits, but at the very end. For the loop's thread.
 */
#pragma once

#include "base/attr.h"
#include "config/config.h"
#include "export/statsd_ledger.h"
#include "export/statsd_packets.h"
#include "export/statsd_socket.h"
#include "export/statsd_target.h"

enum statsd_fate { STATSD_SENT, STATSD_DROPPED, STATSD_N_FATES };

struct statsd_sender {
	struct loop *loop;
	struct statsd_ledger *ledger;
	struct statsd_packets *packets;
	const struct config *config; /* NULL: there is no receiver */
	struct statsd_target target;
	struct statsd_socket socket;
	struct timer pace;
	bool is_failing;
	uint64_t opened_ns, retry_ns, retry_delay_ns;
	void (*counted)(struct statsd_sender *sender, enum statsd_fate fate, uint64_t n_packets,
			uint64_t n_bytes);
	/* After every push; `error` is 0 when it went well, else -errno, or `text` alone tells. */
	void (*reported)(struct statsd_sender *sender, int error, const char *text);
};

/* The fields above `config`, `counted` and `reported` are set by the caller. */
void statsd_sender_init(struct statsd_sender *sender, struct resolver *resolver);
void statsd_sender_done(struct statsd_sender *sender);

/* From now on the receiver is the one of `config`, which outlives its use; NULL: none. */
void statsd_sender_aim(struct statsd_sender *sender, const struct config *config);
/* Looks what became of the last push and drops what is left of it. False: nothing can be sent. */
bool statsd_sender_prepare(struct statsd_sender *sender) MUST_CHECK;
/* Sends the packets at its pace. */
void statsd_sender_start(struct statsd_sender *sender);
/* Sends, and waits until this time at most: the loop does not run meanwhile. */
void statsd_sender_finish(struct statsd_sender *sender, uint64_t until_ns);
