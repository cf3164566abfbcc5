/* SPDX-License-Identifier: Apache-2.0 */
#include "export/totals.h"

/* A gauge is read while it moves, and its parts one after the other: it may look negative. */
static uint64_t gauge(const struct sample *sample)
{
	return sample->value > 0 ? (uint64_t)sample->value : 0;
}

static void add_packets(struct totals *totals, const struct sample *sample)
{
	bool is_sent = str_eq(sample->values[0], STR_LITERAL("sent"));

	*(is_sent ? &totals->statsd_sent : &totals->statsd_dropped) += (uint64_t)sample->value;
}

void totals_add(struct totals *totals, const struct sample *sample)
{
	switch (sample->metric) {
	case METRIC_REQUESTS:
		totals->requests += (uint64_t)sample->value;
		if (totals_is_success(sample))
			totals->success += (uint64_t)sample->value;
		break;
	case METRIC_TOKENS:
		totals->tokens += sample->sum;
		break;
	case METRIC_PENDING_REQUESTS:
		totals->pending += gauge(sample);
		break;
	case METRIC_ACTIVE_STREAMS:
		totals->streams += gauge(sample);
		break;
	case METRIC_QUEUE_DEPTH:
		totals->queued += gauge(sample);
		break;
	case METRIC_QUEUE_REJECTIONS:
		totals->queue_rejections += (uint64_t)sample->value;
		break;
	case METRIC_STATSD_PACKETS:
		add_packets(totals, sample);
		break;
	case METRIC_REQUEST_DURATION:
		distribution_add(&totals->duration, sample);
		break;
	case METRIC_TIME_TO_FIRST_TOKEN:
		distribution_add(&totals->first_token, sample);
		break;
	default:
		break;
	}
}
