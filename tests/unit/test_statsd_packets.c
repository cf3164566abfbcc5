/* SPDX-License-Identifier: Apache-2.0 */
/* Packing, and the ledger that packets are entered in: claimed, settled, rolled back. */
#include "export/statsd_packets.h"

#include <errno.h>

#include "tests/tap.h"
#include "tests/unit/statsd_bed.h"

static struct str line_of(size_t n)
{
	static char line[2048];

	memset(line, 'x', sizeof(line));
	line[n - 1] = '\n';
	return (struct str){line, n};
}

static void test_packing(void)
{
	static const struct {
		size_t lines[4], n_lines, packets[4], n_packets;
	} cases[] = {
		{{100}, 1, {100}, 1},           {{50, 50}, 2, {100}, 1},
		{{50, 51}, 2, {50, 51}, 2},     {{99, 1, 1}, 3, {100, 1}, 2},
		{{30, 80, 10}, 3, {30, 90}, 2}, {{100, 100, 100}, 3, {100, 100, 100}, 3},
	};
	struct statsd_packets packets;
	struct statsd_packet packet;

	statsd_packets_init(&packets);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = 0;

		statsd_packets_clear(&packets, 100);
		for (size_t j = 0; j < cases[i].n_lines; j++)
			if (statsd_packets_append(&packets, line_of(cases[i].lines[j]), j, j) < 0)
				abort();
		for (; statsd_packets_next(&packets, &packet); statsd_packets_take(&packets), n++) {
			is_u64(packet.text.n, cases[i].packets[n], "case %zu, packet %zu", i, n);
			ok(packet.text.p[packet.text.n - 1] == '\n', "ends with a whole line");
		}
		is_u64(n, cases[i].n_packets, "no more of them");
	}
	statsd_packets_clear(&packets, 100);
	is_int(statsd_packets_append(&packets, line_of(101), 0, 1), -EMSGSIZE,
	       "a line that is longer than a packet");
	ok(!statsd_packets_next(&packets, &packet), "is not there");
	statsd_packets_done(&packets);
}

static void test_claims(void)
{
	struct statsd_packets packets;
	struct statsd_packet packet;

	statsd_packets_init(&packets);
	statsd_packets_clear(&packets, 100);
	if (statsd_packets_append(&packets, line_of(40), 7, 5) < 0 ||
	    statsd_packets_append(&packets, line_of(20), 8, 0) < 0 ||
	    statsd_packets_append(&packets, line_of(30), 9, 6) < 0 ||
	    statsd_packets_append(&packets, line_of(30), 10, 1) < 0)
		abort();
	ok(statsd_packets_next(&packets, &packet), "a packet");
	is_u64(packet.n_claims, 2, "two of its lines account for something");
	is_u64(packet.claims[0].end, 40, "the first line's end");
	is_u64(packet.claims[1].end, 90, "the third line's");
	is_u64(packet.claims[1].place, 9, "its place");
	is_u64(packet.claims[1].amount, 6, "its amount");
	statsd_packets_take(&packets);
	ok(statsd_packets_next(&packets, &packet) && packet.n_claims == 1 &&
		   packet.claims[0].place == 10 && packet.claims[0].end == 30,
	   "the next packet has its own");
	statsd_packets_done(&packets);
}

/* One line, one claim: `amount` of the place 3. */
static int claim(struct statsd_ledger *ledger, uint64_t amount)
{
	const struct statsd_claim claim = {.place = 3, .amount = amount, .end = 10};

	return statsd_ledger_claim(ledger, &claim, 1, 10);
}

static void test_ledger(void)
{
	struct statsd_ledger ledger;
	struct bed bed;
	uint64_t place;

	bed_up(&bed, DIALECT_PLAIN, NULL, false);
	statsd_ledger_init(&ledger);
	is_int(statsd_ledger_place(&ledger, &(struct sample){.metric = (enum metric)3}, &place), 0,
	       "a place");
	is_u64(place, 3, "of a provided counter");
	is_u64(statsd_ledger_unsent(&ledger, 3, 100), 100, "nothing was sent");
	ok(claim(&ledger, 40) == 0 && claim(&ledger, 10) == 0, "two packets");
	is_u64(statsd_ledger_unsent(&ledger, 3, 100), 50, "go out");
	statsd_ledger_disclaim(&ledger, 1, 10);
	is_u64(statsd_ledger_unsent(&ledger, 3, 100), 60, "the second did not");
	is_u64(ledger.position, 10, "nor did its bytes");
	ok(claim(&ledger, 30) == 0 && claim(&ledger, 20) == 0, "two more");
	statsd_ledger_settle(&ledger, 19);
	is_u64(ledger.settled, 19, "all up to the middle of the second arrived");
	statsd_ledger_roll_back(&ledger);
	is_u64(statsd_ledger_unsent(&ledger, 3, 100), 60, "what was not whole is back");
	is_u64(ledger.settled, 30, "and nothing in flight");
	statsd_ledger_roll_back(&ledger);
	is_u64(statsd_ledger_unsent(&ledger, 3, 100), 60, "it comes back once");
	is_u64(statsd_ledger_unsent(&ledger, 3, 20), 0, "a total never falls");
	statsd_ledger_done(&ledger);
	bed_down(&bed);
}

/* Lost datagrams in the middle: what is counted in the end is what was counted at first. */
static void test_totals(void)
{
	struct statsd_packet packet;
	struct bed bed;
	unsigned long long got = 0;

	bed_up(&bed, DIALECT_PLAIN, "nexus_usage_missing_total", false);
	for (uint64_t i = 1; i <= 30; i++) {
		bed_add(&bed, METRIC_USAGE_MISSING, bed_values("m", "a", NULL), i);
		bed_push(&bed);
		if (!statsd_packets_next(&bed.packets, &packet) ||
		    statsd_ledger_claim(&bed.ledger, packet.claims, packet.n_claims,
					packet.text.n) < 0)
			abort();
		if (i % 3 == 0)
			statsd_ledger_disclaim(&bed.ledger, packet.n_claims, packet.text.n);
		else if (i % 3 == 1)
			statsd_ledger_roll_back(&bed.ledger);
		else
			got += strtoull(strchr(bed.pushed, ':') + 1, NULL, 10);
		statsd_ledger_settle(&bed.ledger, bed.ledger.position);
	}
	bed_push(&bed);
	got += strtoull(strchr(bed.pushed, ':') + 1, NULL, 10);
	is_u64(got, 30 * 31 / 2, "each count arrives once");
	bed_down(&bed);
}

int main(void)
{
	test_packing();
	test_claims();
	test_ledger();
	test_totals();
	return tap_done();
}
