/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stream.h"

#include "api/relay_state.h"
#include "http/connection.h"
#include "tap.h"

#define HALF "data: half of a frame that is too large to be held "

/* A relay whose head went out to a client that does not read. */
struct bed {
	struct server server;
	struct connection connection;
	struct exchange exchange;
	struct route route;
	struct request request;
	struct relay relay;
};

static void set_up(struct bed *bed)
{
	*bed = (struct bed){.relay.committed = true, .relay.phase = RELAY_STREAM};
	bed->server.loop = need(loop_new());
	bed->connection.server = &bed->server;
	bed->connection.engine = &bed->server.engines[ENGINE_PLAIN];
	bed->exchange.connection = &bed->connection;
	bed->request.exchange = &bed->exchange;
	bed->request.route = &bed->route;
	bed->relay.request = &bed->request;
	stream_init(&bed->relay.stream);
	sse_done(&bed->relay.stream.sse);
	sse_init(&bed->relay.stream.sse, strlen(HALF) - 1);
}

static void tear_down(struct bed *bed)
{
	stream_done(&bed->relay.stream);
	buf_done(&bed->exchange.outbox);
	loop_free(bed->server.loop);
}

/* The client's queue has no room for a last piece, and some for the error. */
static void test_room_for_the_error_alone(void)
{
	static const struct {
		const char *end, *between; /* of the last piece; what makes the error an event */
		size_t bytes;              /* of the last piece */
	} rows[] = {
		{"\n\n", "\n\n", 1000},
		{"", "\n\n", 1000},
		{"\n\n", "", 10},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool fits = rows[i].bytes < 1000;
		char piece[1024], want[128];
		struct bed bed;
		struct str got;
		int n;

		memset(piece, 'x', sizeof(piece));
		n = snprintf(piece + rows[i].bytes, 8, "%s", rows[i].end);
		set_up(&bed);
		buf_init(&bed.exchange.outbox, 600);
		need(stream_data(&bed.relay, STR_LITERAL(HALF)).fate == FATE_GOES_ON ? &bed : NULL);
		stream_data(&bed.relay, (struct str){piece, rows[i].bytes + (size_t)n});
		stream_tell(&bed.relay, PROBLEM_OVERLOADED);
		snprintf(want, sizeof(want), "%s%.*s%sdata: {\"error\"", HALF,
			 fits ? (int)rows[i].bytes + n : 0, piece, rows[i].between);
		got = buf_str(&bed.exchange.outbox);
		ok(str_has_prefix(got, str_of(want)), "the error is an event, row %zu", i);
		tear_down(&bed);
	}
}

int main(void)
{
	test_room_for_the_error_alone();
	return tap_done();
}
