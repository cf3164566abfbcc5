/* SPDX-License-Identifier: Apache-2.0 */
#include "export/statsd.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "export/statsd_dialect.h"
#include "export/statsd_lines.h"
#include "export/statsd_sender.h"

/* The whole loop waits for the last counts of a receiver at most so long. */
#define FINISH_NS (200 * NS_PER_MSEC)

struct statsd {
	struct statsd_inputs inputs;
	struct config *config; /* NULL while switched off */
	bool was_configured;
	bool is_leaving;
	struct resolver *resolver;
	struct statsd_ledger ledger;
	struct statsd_packets packets;
	struct statsd_sender sender;
	struct timer flush;
	bool is_failing; /* as was said last, and why */
	int error;
	const struct series *n_packets[STATSD_N_FATES], *n_bytes[STATSD_N_FATES];

	pthread_mutex_t mutex; /* around `status` alone */
	struct statsd_status status;
};

static void count(struct statsd_sender *sender, enum statsd_fate fate, uint64_t n_packets,
		  uint64_t n_bytes)
{
	struct statsd *statsd = container_of(sender, struct statsd, sender);

	slab_add(statsd->inputs.slab, statsd->n_packets[fate], n_packets);
	slab_add(statsd->inputs.slab, statsd->n_bytes[fate], n_bytes);
}

/* Passes on what is new. */
static void report(struct statsd_sender *sender, int error, const char *text)
{
	struct statsd *statsd = container_of(sender, struct statsd, sender);
	bool is_failing = text != NULL;
	bool is_news = statsd->is_failing != is_failing || (is_failing && statsd->error != error);

	statsd->is_failing = is_failing;
	statsd->error = error;
	pthread_mutex_lock(&statsd->mutex);
	snprintf(statsd->status.error, sizeof(statsd->status.error), "%s", text ? text : "");
	pthread_mutex_unlock(&statsd->mutex);
	if (is_news)
		statsd->inputs.changed(statsd->inputs.context, statsd->config->statsd.address,
				       text);
}

/* False: there is no receiver to send to. */
static bool prepare_push(struct statsd *statsd)
{
	const struct statsd_lines_inputs lines = {
		.registry = statsd->inputs.registry,
		.config = statsd->config,
		.ledger = &statsd->ledger,
		.time_sec = clock_realtime_msec() / 1000,
		.is_leaving = statsd->is_leaving,
	};

	if (!statsd_sender_prepare(&statsd->sender))
		return false;
	statsd_packets_clear(&statsd->packets, (size_t)statsd->config->statsd.max_packet);
	/* Lines that find no memory come with a later push. */
	(void)!statsd_lines_append(&lines, &statsd->packets);
	return true;
}

static void flush_due(struct timer *timer)
{
	struct statsd *statsd = container_of(timer, struct statsd, flush);

	/* The timer that has just fired left room for itself. */
	(void)!loop_timer_set(statsd->inputs.loop, timer,
			      loop_now_ns(statsd->inputs.loop) + statsd->config->statsd.interval);
	if (prepare_push(statsd))
		statsd_sender_start(&statsd->sender);
}

static void find_series(struct statsd *statsd)
{
	static const struct str fates[] = {
		[STATSD_SENT] = STR_INIT("sent"), [STATSD_DROPPED] = STR_INIT("dropped")};

	for (int i = 0; i < STATSD_N_FATES; i++) {
		statsd->n_packets[i] =
			registry_series(statsd->inputs.registry, METRIC_STATSD_PACKETS, &fates[i]);
		statsd->n_bytes[i] =
			registry_series(statsd->inputs.registry, METRIC_STATSD_BYTES, &fates[i]);
	}
}

struct statsd *statsd_new(const struct statsd_inputs *inputs)
{
	struct statsd *statsd = calloc(1, sizeof(*statsd));

	if (!statsd)
		return NULL;
	statsd->resolver = resolver_new(inputs->loop);
	if (!statsd->resolver) {
		free(statsd);
		return NULL;
	}
	statsd->inputs = *inputs;
	pthread_mutex_init(&statsd->mutex, NULL);
	timer_init(&statsd->flush, flush_due);
	statsd_ledger_init(&statsd->ledger);
	statsd_packets_init(&statsd->packets);
	statsd->sender = (struct statsd_sender){
		.loop = inputs->loop,
		.ledger = &statsd->ledger,
		.packets = &statsd->packets,
		.counted = count,
		.reported = report,
	};
	statsd_sender_init(&statsd->sender, statsd->resolver);
	find_series(statsd);
	return statsd;
}

struct statsd *statsd_free(struct statsd *statsd)
{
	if (!statsd)
		return NULL;
	loop_timer_clear(statsd->inputs.loop, &statsd->flush);
	statsd_sender_done(&statsd->sender);
	resolver_free(statsd->resolver);
	statsd_ledger_done(&statsd->ledger);
	statsd_packets_done(&statsd->packets);
	config_unref(statsd->config);
	pthread_mutex_destroy(&statsd->mutex);
	free(statsd);
	return NULL;
}

void statsd_finish(struct statsd *statsd)
{
	if (statsd && statsd->config && prepare_push(statsd))
		statsd_sender_finish(&statsd->sender, clock_monotonic_ns() + FINISH_NS);
}

static void switch_off(struct statsd *statsd)
{
	loop_timer_clear(statsd->inputs.loop, &statsd->flush);
	statsd_finish(statsd);
	statsd_sender_aim(&statsd->sender, NULL);
	statsd->config = config_unref(statsd->config);
}

static bool has_totals(const struct config *config)
{
	return statsd_dialect(config->statsd.dialect)->has_totals;
}

/* Totals take in what an earlier process counted, which that one pushed, and what was sent of them
 * says nothing about what is to be added: after the last of them all begins from here. */
static int leave_totals(struct statsd *statsd)
{
	statsd_finish(statsd);
	return statsd_ledger_start_here(&statsd->ledger, statsd->inputs.registry);
}

static int switch_on(struct statsd *statsd, struct config *config)
{
	struct config *before = statsd->config;
	bool keeps_time = before && before->statsd.interval == config->statsd.interval;
	int r = 0;

	/* What was counted while it was off is none of the receiver's business. */
	if (!before && statsd->was_configured)
		r = statsd_ledger_start_here(&statsd->ledger, statsd->inputs.registry);
	else if (before && has_totals(before) && !has_totals(config))
		r = leave_totals(statsd);
	if (r == 0 && !keeps_time)
		r = loop_timer_set(statsd->inputs.loop, &statsd->flush,
				   clock_monotonic_ns() + config->statsd.interval);
	if (r < 0)
		return r;
	statsd_sender_aim(&statsd->sender, config);
	statsd->is_failing = false; /* what is so under the new configuration is news */
	statsd->config = config_ref(config);
	config_unref(before);
	return 0;
}

int statsd_configure(struct statsd *statsd, struct config *config)
{
	int r = 0;

	if (config->statsd.enabled)
		r = switch_on(statsd, config);
	if (r < 0 || !config->statsd.enabled)
		switch_off(statsd);
	statsd->was_configured = true;
	pthread_mutex_lock(&statsd->mutex);
	statsd->status.is_enabled = statsd->config != NULL;
	if (!statsd->config)
		statsd->status.error[0] = '\0';
	snprintf(statsd->status.address, sizeof(statsd->status.address), "%s",
		 config->statsd.address);
	pthread_mutex_unlock(&statsd->mutex);
	return r;
}

void statsd_leave(struct statsd *statsd)
{
	statsd->is_leaving = true;
}

void statsd_status(struct statsd *statsd, struct statsd_status *ret_status)
{
	pthread_mutex_lock(&statsd->mutex);
	*ret_status = statsd->status;
	pthread_mutex_unlock(&statsd->mutex);
}
