/* SPDX-License-Identifier: Apache-2.0 */
/* A registry, a ledger and the lines of a push, for tests. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/attr.h"
#include "export/statsd_lines.h"

#define BED_TIME_SEC 1700000000

static char bed_prefix[] = "nexus";

struct bed {
	struct registry *registry;
	struct slab *slab;
	struct config config;
	struct statsd_ledger ledger;
	struct statsd_packets packets;
	char family[64], *allow[1];
	char *pushed; /* the last push as one text */
};

static void bed_uptime(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	emit(emitter, NULL, 12500000001);
}

static void bed_cpu(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	emit(emitter, NULL, 1234567890);
}

static void bed_models(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	const struct str values[] = {STR_LITERAL("m"), STR_LITERAL("m")};

	emit(emitter, values, 1);
}

/* `family` as scraped is the only one that is pushed; NULL: all. */
UNUSED static void bed_up(struct bed *bed, enum config_dialect dialect, const char *family,
			  bool raw)
{
	const struct registry_options options = {
		.raw_labels = raw, .max_series = 1000, .max_series_per_family = 100};

	*bed = (struct bed){.registry = registry_new(&options)};
	bed->slab = bed->registry ? registry_slab_new(bed->registry) : NULL;
	if (!bed->slab || registry_provide(bed->registry, METRIC_UPTIME, bed_uptime, NULL) < 0 ||
	    registry_provide(bed->registry, METRIC_PROCESS_CPU, bed_cpu, NULL) < 0 ||
	    registry_provide(bed->registry, METRIC_MODEL_INFO, bed_models, NULL) < 0)
		abort();
	snprintf(bed->family, sizeof(bed->family), "%s", family ? family : "");
	bed->allow[0] = bed->family;
	bed->config.statsd.dialect = dialect;
	bed->config.statsd.prefix = bed_prefix;
	bed->config.statsd.max_packet = 1432;
	bed->config.statsd.allow = bed->allow;
	bed->config.statsd.n_allow = family != NULL;
	statsd_ledger_init(&bed->ledger);
	statsd_packets_init(&bed->packets);
}

UNUSED static void bed_down(struct bed *bed)
{
	statsd_ledger_done(&bed->ledger);
	statsd_packets_done(&bed->packets);
	registry_free(bed->registry);
	free(bed->pushed);
}

/* Valid until the next call. */
UNUSED static const struct str *bed_values(const char *one, const char *two, const char *three)
{
	static struct str values[3];

	values[0] = str_of(one);
	values[1] = str_of(two);
	values[2] = str_of(three);
	return values;
}

UNUSED static void bed_add(struct bed *bed, enum metric metric, const struct str *values,
			   uint64_t n)
{
	slab_add(bed->slab, registry_series(bed->registry, metric, values), n);
}

UNUSED static void bed_observe(struct bed *bed, enum metric metric, const struct str *values,
			       uint64_t value)
{
	slab_observe(bed->slab, registry_series(bed->registry, metric, values), value);
}

/* Formats a push; the text is valid until the next one. */
UNUSED static const char *bed_push(struct bed *bed)
{
	const struct statsd_lines_inputs inputs = {bed->registry, &bed->config, &bed->ledger,
						   BED_TIME_SEC, false};
	char *text;
	size_t n;

	statsd_packets_clear(&bed->packets, (size_t)bed->config.statsd.max_packet);
	if (statsd_lines_append(&inputs, &bed->packets) < 0)
		abort();
	n = bed->packets.text.len;
	text = realloc(bed->pushed, n + 1);
	if (!text)
		abort();
	bed->pushed = text;
	if (n)
		memcpy(bed->pushed, bed->packets.text.data, n);
	bed->pushed[n] = '\0';
	return bed->pushed;
}

/* Everything of the last push arrives. */
UNUSED static void bed_send(struct bed *bed)
{
	struct statsd_packet packet;

	for (; statsd_packets_next(&bed->packets, &packet); statsd_packets_take(&bed->packets))
		if (statsd_ledger_claim(&bed->ledger, packet.claims, packet.n_claims,
					packet.text.n) < 0)
			abort();
	statsd_ledger_settle(&bed->ledger, bed->ledger.position);
}
