/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/status.h"

#include <inttypes.h>
#include <stdio.h>

#include "daemon/daemon_state.h"
#include "metrics/snapshot.h"

/* The sums of these families. */
static const enum metric shown[] = {METRIC_REQUESTS, METRIC_ACTIVE_STREAMS, METRIC_BACKENDS_HEALTHY,
				    METRIC_BACKENDS};

static void add(void *context, const struct sample *sample)
{
	int64_t *sums = context;

	sums[sample->metric] += sample->value;
}

const char *status_text(const struct daemon *daemon, char text[static STATUS_BYTES])
{
	int64_t sums[N_METRICS] = {0};
	bool only[N_METRICS] = {false};
	const struct snapshot_visitor visitor = {.sample = add, .context = sums, .only = only};

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		only[shown[i]] = true;
	if (snapshot_visit(daemon->registry, &visitor) < 0) {
		snprintf(text, STATUS_BYTES, "Serving");
		return text;
	}
	snprintf(text, STATUS_BYTES,
		 "Serving on %s%s: %" PRId64 " requests, %" PRId64 " streams running, %" PRId64
		 " of %" PRId64 " backends healthy",
		 daemon->n_listeners ? daemon->listeners[0]->address : "nothing",
		 daemon->n_listeners > 1 ? " and more" : "", sums[METRIC_REQUESTS],
		 sums[METRIC_ACTIVE_STREAMS], sums[METRIC_BACKENDS_HEALTHY], sums[METRIC_BACKENDS]);
	return text;
}
