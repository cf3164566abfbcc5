/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document of GET /v1/stats: the same series as /metrics, from one snapshot, under their real
 * names. data/nexusd-stats.schema.json describes it.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "export/history.h"
#include "metrics/registry.h"
#include "route/route_table.h"

/* What the counters do not tell of the StatsD push. */
struct stats_json_statsd {
	bool enabled;
	const char *address; /* NULL unless enabled */
	const char *error;   /* why the last packet was not taken; NULL when it was */
};

struct stats_json_inputs {
	const char *version;
	uint64_t started_ns, now_ns;     /* clock_monotonic_ns() */
	const struct route_table *table; /* its backends have a row even without requests */
	struct stats_json_statsd statsd;
	struct history *history; /* what the rates are since; all of it is shown on demand */
	bool shows_history;
};

/* Appends the document. -ENOMEM, -EMSGSIZE of the buffer; it then holds garbage. */
int stats_json_write(struct registry *registry, const struct stats_json_inputs *in,
		     struct buf *out) MUST_CHECK;
