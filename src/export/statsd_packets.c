/* SPDX-License-Identifier: Apache-2.0 */
#include "export/statsd_packets.h"

#include <errno.h>

/* Of one push. What finds no room comes with a later one, as what was sent no longer needs any. */
#define MAX_BYTES ((size_t)1 << 26)

/* Where a packet's text and claims begin and how many there are. */
struct span {
	size_t text_at, n_bytes, claims_at, n_claims;
};

void statsd_packets_init(struct statsd_packets *packets)
{
	*packets = (struct statsd_packets){0};
	buf_init(&packets->text, MAX_BYTES);
	buf_init(&packets->claims, MAX_BYTES);
	buf_init(&packets->spans, MAX_BYTES);
}

void statsd_packets_done(struct statsd_packets *packets)
{
	buf_done(&packets->text);
	buf_done(&packets->claims);
	buf_done(&packets->spans);
}

void statsd_packets_clear(struct statsd_packets *packets, size_t max_bytes)
{
	buf_clear(&packets->text);
	buf_clear(&packets->claims);
	buf_clear(&packets->spans);
	packets->max_bytes = max_bytes;
	packets->next = 0;
}

static size_t count_spans(const struct statsd_packets *packets)
{
	return packets->spans.len / sizeof(struct span);
}

static struct span *span_at(const struct statsd_packets *packets, size_t i)
{
	return (struct span *)(void *)packets->spans.data + i;
}

/* The packet that the line goes into; NULL for no memory. */
static struct span *span_for(struct statsd_packets *packets, size_t n_bytes)
{
	const struct span fresh = {.text_at = packets->text.len,
				   .claims_at = packets->claims.len / sizeof(struct statsd_claim)};
	size_t n = count_spans(packets);

	if (n > 0 && span_at(packets, n - 1)->n_bytes + n_bytes <= packets->max_bytes)
		return span_at(packets, n - 1);
	return buf_append(&packets->spans, &fresh, sizeof(fresh)) < 0 ? NULL : span_at(packets, n);
}

int statsd_packets_append(struct statsd_packets *packets, struct str line, uint64_t place,
			  uint64_t amount)
{
	struct statsd_claim claim = {.place = place, .amount = amount};
	struct span *span;
	int r;

	if (line.n > packets->max_bytes)
		return -EMSGSIZE;
	span = span_for(packets, line.n);
	if (!span)
		return -ENOMEM;
	r = buf_append_str(&packets->text, line);
	if (r < 0)
		return r;
	claim.end = span->n_bytes + line.n;
	if (amount) {
		r = buf_append(&packets->claims, &claim, sizeof(claim));
		if (r < 0) {
			packets->text.len -= line.n;
			return r;
		}
	}
	span->n_bytes += line.n;
	span->n_claims += amount > 0;
	return 0;
}

bool statsd_packets_next(const struct statsd_packets *packets, struct statsd_packet *ret_packet)
{
	const struct span *span;

	if (packets->next == count_spans(packets))
		return false;
	span = span_at(packets, packets->next);
	if (span->n_bytes == 0) /* the last one, whose first line found no room */
		return false;
	*ret_packet = (struct statsd_packet){
		.text = {packets->text.data + span->text_at, span->n_bytes},
		.claims = (const struct statsd_claim *)(const void *)packets->claims.data +
			  span->claims_at,
		.n_claims = span->n_claims,
	};
	return true;
}

void statsd_packets_take(struct statsd_packets *packets)
{
	packets->next++;
}
