/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever models and backends are called and whatever was counted: every line obeys the grammar
 * of its dialect, a packet holds whole lines and no more than it may, and what was sent is not
 * sent again. The first byte chooses dialect and labels, eight are a number, the rest are names.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "export/statsd_lines.h"
#include "tests/unit/statsd_bed.h"

enum { HEAD_BYTES = 9 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what, struct str line)
{
	if (condition)
		return;
	fprintf(stderr, "%s: %.*s\n", what, (int)line.n, line.p);
	abort();
}

static bool is_word(struct str text, const char *more)
{
	for (size_t i = 0; i < text.n; i++)
		if (!isalnum((unsigned char)text.p[i]) && !strchr(more, text.p[i]))
			return false;
	return text.n > 0;
}

static bool is_number(struct str text)
{
	struct str whole;

	if (text.n && text.p[0] == '-')
		text = (struct str){text.p + 1, text.n - 1};
	whole = str_split(&text, '.');
	return is_word(whole, "") && whole.p[0] <= '9' && (!text.p || is_word(text, ""));
}

static void check_tags(struct str tags, char separator, char assign, struct str line)
{
	while (tags.p) {
		struct str value = str_split(&tags, separator), key = str_split(&value, assign);

		require(is_word(key, "_"), "a tag's key", line);
		require(is_word(value, "_-"), "a tag's value", line);
	}
}

/* A name without an empty part. */
static void check_name(struct str name, struct str line)
{
	while (name.p)
		require(is_word(str_split(&name, '.'), "_-"), "a name", line);
}

static void check_carbon(struct str line)
{
	struct str rest = line, name = str_split(&rest, ' '), value = str_split(&rest, ' ');

	check_name(name, line);
	require(is_number(value), "a value", line);
	require(str_eq(rest, STR_LITERAL("1700000000")), "a time", line);
}

static void check_statsd(struct str line, enum config_dialect dialect)
{
	static const char separators[] = {[DIALECT_GRAPHITE] = ';', [DIALECT_INFLUX] = ','};
	struct str rest = line, head = str_split(&rest, ':'), value = str_split(&rest, '|');
	struct str kind = str_split(&rest, '|');

	if (dialect == DIALECT_DOGSTATSD) {
		while (rest.p) {
			struct str part = str_split(&rest, '|');

			require(part.n > 1 && (part.p[0] == '@' || part.p[0] == '#'), "a part",
				line);
			if (part.p[0] == '#')
				check_tags((struct str){part.p + 1, part.n - 1}, ',', ':', line);
			else
				require(is_number((struct str){part.p + 1, part.n - 1}), "a rate",
					line);
		}
	} else if (dialect != DIALECT_PLAIN) {
		struct str tags = head;

		head = str_split(&tags, separators[dialect]);
		check_tags(tags, separators[dialect], '=', line);
	}
	check_name(head, line);
	require(!rest.p && is_number(value), "a value", line);
	require(kind.n == 1 && strchr(dialect == DIALECT_DOGSTATSD ? "cgd" : "cg", kind.p[0]),
		"a kind", line);
}

static void check_packets(struct bed *bed, bool counters_wanted)
{
	struct statsd_packet packet;

	for (; statsd_packets_next(&bed->packets, &packet); statsd_packets_take(&bed->packets)) {
		struct str rest = packet.text;

		require(rest.n <= bed->config.statsd.max_packet && rest.p[rest.n - 1] == '\n',
			"a packet", rest);
		require(counters_wanted || packet.n_claims == 0, "it was sent before", rest);
		for (rest.n--; rest.p;) {
			struct str line = str_split(&rest, '\n');

			if (bed->config.statsd.dialect == DIALECT_CARBON)
				check_carbon(line);
			else
				check_statsd(line, bed->config.statsd.dialect);
		}
		if (statsd_ledger_claim(&bed->ledger, packet.claims, packet.n_claims,
					packet.text.n) < 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest, values[3];
	struct bed bed;
	uint64_t n;

	if (size < HEAD_BYTES)
		return 0;
	memcpy(&n, data + 1, sizeof(n));
	rest = (struct str){(const char *)data + HEAD_BYTES, size - HEAD_BYTES};
	for (int i = 0; i < 3; i++)
		values[i] = str_split(&rest, ' ');
	bed_up(&bed, (enum config_dialect)(data[0] % 5), NULL, data[0] & 0x80);
	bed.config.statsd.max_packet = 1024;
	bed_add(&bed, METRIC_REQUESTS, values, n);
	bed_add(&bed, METRIC_COST, values, n >> 8);
	bed_observe(&bed, METRIC_REQUEST_DURATION, values, n >> 16);
	bed_observe(&bed, METRIC_TOKENS, values, n & 0xFFFFF);
	slab_gauge_add(bed.slab, registry_series(bed.registry, METRIC_ACTIVE_STREAMS, NULL),
		       (int64_t)n);
	bed_push(&bed);
	check_packets(&bed, true);
	/* What is above the ceiling of one line comes with the second push, and so on. */
	if (n <= STATSD_MAX_DELTA) {
		bed_push(&bed);
		check_packets(&bed, false);
	}
	bed_down(&bed);
	return 0;
}
