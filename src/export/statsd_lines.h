/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A push as lines: what the registry has counted and the ledger does not know as sent, and how the
 * gauges stand. Infos are not sent. For the main thread.
 */
#pragma once

#include "base/attr.h"
#include "config/config.h"
#include "export/statsd_ledger.h"
#include "export/statsd_packets.h"

/* No line says more; what is above it comes with the next push. */
#define STATSD_MAX_DELTA (UINT64_C(1) << 31)

struct statsd_lines_inputs {
	struct registry *registry;
	const struct config *config;
	struct statsd_ledger *ledger; /* read; it is told when packets go out */
	uint64_t time_sec;            /* since 1970 */
	bool is_leaving;              /* gauges and totals are another process's by now */
};

/* Appends to `packets`. -ENOMEM, -EMSGSIZE: some lines are missing, those that are there hold. */
int statsd_lines_append(const struct statsd_lines_inputs *inputs,
			struct statsd_packets *packets) MUST_CHECK;
