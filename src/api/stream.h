/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend's event stream: relayed frame by frame without changing a byte. Only the usage that
 * nexusd itself asked for is swallowed, and only an honest end is passed on as an end. Embedded in
 * the relay, for its attempt under way; worker-local. Internal to relay.c and what it is made of.
 */
#pragma once

#include "api/verdict.h"
#include "upstream/sse.h"

struct relay;

/* By their indices, a bit each. */
struct stream_choices {
	uint64_t seen, finished; /* the latter have told a finish_reason */
};

/* What has come of it. */
struct stream {
	struct sse sse;
	struct stream_choices choices;
	bool done;                                  /* [DONE], or the last event of a response */
	bool failed;                                /* an error event */
	bool is_response;                           /* its end has an event of its own */
	bool ends_unread;                           /* the last event was too large to be read */
	bool left_open;                             /* the client has no end of the last frame */
	bool stuck;                                 /* the client's queue is full or memory out */
	uint64_t first_content_ns, last_content_ns; /* 0: none yet */
};

void stream_init(struct stream *stream);
void stream_done(struct stream *stream);
/* A piece of it has come. */
struct verdict stream_data(struct relay *relay, struct str data);
/* It has ended, in the transfer's outcome. */
struct verdict stream_over(struct relay *relay, enum outcome outcome);
/* Tells the client by an event why the stream ends too early; false when it does not fit. */
bool stream_tell(struct relay *relay, enum problem problem);
