/* SPDX-License-Identifier: Apache-2.0 */
#include "export/statsd_ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "metrics/slab.h"

/* Far above what a socket's send buffer holds. */
#define MAX_IN_FLIGHT_BYTES ((size_t)1 << 26)

void statsd_ledger_init(struct statsd_ledger *ledger)
{
	*ledger = (struct statsd_ledger){0};
	buf_init(&ledger->in_flight, MAX_IN_FLIGHT_BYTES);
}

void statsd_ledger_done(struct statsd_ledger *ledger)
{
	free(ledger->sent);
	buf_done(&ledger->in_flight);
}

/* As many places as the registry has cells: its budget is the ceiling. */
static int make_room(struct statsd_ledger *ledger, size_t n_wanted)
{
	size_t n = ledger->n_places ? ledger->n_places : SLAB_CHUNK_CELLS;
	uint64_t *sent;

	if (n_wanted <= ledger->n_places)
		return 0;
	while (n < n_wanted)
		n *= 2;
	sent = reallocarray(ledger->sent, n, sizeof(*sent));
	if (!sent)
		return -ENOMEM;
	memset(sent + ledger->n_places, 0, (n - ledger->n_places) * sizeof(*sent));
	ledger->sent = sent;
	ledger->n_places = n;
	return 0;
}

int statsd_ledger_place(struct statsd_ledger *ledger, const struct sample *sample,
			uint64_t *ret_place)
{
	/* What has no cell has the place of its family; the cells follow. */
	uint64_t place = sample->series ? (uint64_t)N_METRICS + sample->series->cell
					: (uint64_t)sample->metric;
	int r;

	if (!sample->series && sample->labels.n > 0)
		return -ENOENT;
	r = make_room(ledger, (size_t)place + SLAB_BUCKETS + sample->n_buckets);
	if (r == 0)
		*ret_place = place;
	return r;
}

uint64_t statsd_ledger_unsent(const struct statsd_ledger *ledger, uint64_t place, uint64_t total)
{
	uint64_t sent = ledger->sent[place];

	return total > sent ? total - sent : 0;
}

struct start {
	struct statsd_ledger *ledger;
	int error;
};

static void take_as_sent(void *context, const struct sample *sample)
{
	struct start *start = context;
	uint64_t place = 0, *sent;
	int r;

	if (start->error < 0 || metric_row(sample->metric)->kind == KIND_INFO)
		return;
	r = statsd_ledger_place(start->ledger, sample, &place);
	if (r == -ENOENT)
		return;
	if (r < 0) {
		start->error = r;
		return;
	}
	sent = start->ledger->sent + place;
	if (sample->n_buckets == 0) {
		*sent = (uint64_t)sample->value;
		return;
	}
	*sent = sample->count;
	sent[SLAB_SUM] = sample->sum;
	memcpy(sent + SLAB_BUCKETS, sample->buckets, sample->n_buckets * sizeof(*sent));
}

int statsd_ledger_start_here(struct statsd_ledger *ledger, struct registry *registry)
{
	struct start start = {ledger, 0};
	int r;

	/* Whatever is under way is not taken back. */
	statsd_ledger_settle(ledger, ledger->position);
	r = snapshot_visit(registry, &(struct snapshot_visitor){.sample = take_as_sent,
								.context = &start,
								.merged = true,
								.own = true});

	return r < 0 ? r : start.error;
}

static struct statsd_claim *claims_of(const struct statsd_ledger *ledger, size_t *ret_n)
{
	*ret_n = ledger->in_flight.len / sizeof(struct statsd_claim);
	return (struct statsd_claim *)(void *)ledger->in_flight.data;
}

int statsd_ledger_claim(struct statsd_ledger *ledger, const struct statsd_claim *claims, size_t n,
			size_t n_bytes)
{
	int r = n ? buf_append(&ledger->in_flight, claims, n * sizeof(*claims)) : 0;
	struct statsd_claim *own;
	size_t n_all;

	if (r < 0)
		return r;
	own = claims_of(ledger, &n_all);
	for (size_t i = n_all - n; i < n_all; i++) {
		own[i].end += ledger->position;
		ledger->sent[own[i].place] += own[i].amount;
	}
	ledger->position += n_bytes;
	return 0;
}

static void take_back(struct statsd_ledger *ledger, size_t n)
{
	size_t n_all;
	const struct statsd_claim *claims = claims_of(ledger, &n_all);

	assert(n <= n_all);
	for (size_t i = n_all - n; i < n_all; i++)
		ledger->sent[claims[i].place] -= claims[i].amount;
	ledger->in_flight.len -= n * sizeof(*claims);
}

void statsd_ledger_disclaim(struct statsd_ledger *ledger, size_t n, size_t n_bytes)
{
	take_back(ledger, n);
	ledger->position -= n_bytes;
}

void statsd_ledger_settle(struct statsd_ledger *ledger, uint64_t position)
{
	size_t n_all, n = 0;
	const struct statsd_claim *claims = claims_of(ledger, &n_all);

	while (n < n_all && claims[n].end <= position)
		n++;
	buf_consume(&ledger->in_flight, n * sizeof(*claims));
	ledger->settled = position;
}

void statsd_ledger_roll_back(struct statsd_ledger *ledger)
{
	take_back(ledger, ledger->in_flight.len / sizeof(struct statsd_claim));
	ledger->settled = ledger->position;
}
