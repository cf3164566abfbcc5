/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all models and backends together have done so far, and are doing: the one place that says
 * what a request, a success or a token of the whole gateway is. Fed by a snapshot; not shared.
 */
#pragma once

#include "metrics/distribution.h"

/* Of a sample of nexus_requests_total: is its status 2xx? */
static inline bool totals_is_success(const struct sample *sample)
{
	struct str status = sample->values[2];

	return status.n == 3 && status.p[0] == '2';
}

struct totals {
	uint64_t requests, success;
	uint64_t tokens;                   /* prompt and completion */
	uint64_t pending, streams, queued; /* gauges */
	uint64_t queue_rejections;
	uint64_t statsd_sent, statsd_dropped;
	struct distribution duration, first_token; /* ns */
};

/* For every sample of a snapshot, after the totals were set to zero. */
void totals_add(struct totals *totals, const struct sample *sample);
