/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to one target and its answer, on one loop. Callbacks come from that loop, never from
 * inside transfer_start(); after on_done or transfer_cancel() there are none, and the transfer is
 * gone. The interface hides the transport (libcurl, the in-process demo): see transport.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/outcome.h"
#include "base/str.h"
#include "upstream/target.h"

struct client;
struct transfer;

struct header {
	struct str name, value;
};

/* Everything here is borrowed until on_done or transfer_cancel(), but for `headers`, which are
 * copied, and the body, which is needed until transfer_trace.body_sent. */
struct transfer_request {
	const struct target *target;
	const char *method;           /* "GET" or "POST" */
	const char *path;             /* "/v1/chat/completions" */
	struct str body;              /* of a POST, unless it is supplied */
	struct str content_type;      /* of the body; empty: JSON */
	const struct header *headers; /* beside Authorization, Content-Type and Content-Length */
	size_t n_headers;
	uint64_t connect_timeout_ns;
	uint64_t first_byte_timeout_ns; /* from the start to the first body byte; 0: none */
	uint64_t idle_timeout_ns;       /* between body bytes, not counted while paused; 0: none */

	/* NULL, or where the body comes from: puts its next bytes, at most `room`, into `out`; 0 at
	 * its end, -EAGAIN while there are none: transfer_supply() has it called again. It must
	 * not cancel. The timeouts stand still while it has none, and first_byte_timeout_ns counts
	 * from its last bytes. */
	ssize_t (*supply)(void *context, char *out, size_t room);
	int64_t supplied_bytes; /* in all; -1 unknown */
};

struct transfer_head {
	unsigned status;
	struct str content_type;      /* empty when absent */
	int64_t content_length;       /* bytes, -1 unknown */
	const struct header *headers; /* all of them; valid during the callback only */
	size_t n_headers;
};

/* Nanoseconds since the transfer started; 0 where a phase did not happen. */
struct transfer_timings {
	uint64_t name_lookup, connect, tls, first_byte, total;
};

/* What became of it on the network so far. */
struct transfer_trace {
	bool connected; /* it has had a connection; false for transports without any */
	bool reused;    /* that was kept alive: no name lookup, connect and TLS of its own */
	bool body_sent; /* all of the request's: nobody looks at it any more */
	struct transfer_timings timings;
	uint64_t sent_bytes, received_bytes; /* of bodies */
};

struct transfer_result {
	enum outcome outcome; /* OK whenever a whole answer came, whatever its status */
	unsigned status;      /* 0 when no head came */
	struct transfer_trace trace;
	const char *error; /* for the log: static or valid during the callback */
};

struct transfer_events {
	/* The final head (1xx are swallowed). Once, before any data; not at all when none came. */
	void (*on_head)(void *context, const struct transfer_head *head);
	/* All bytes are taken; call transfer_pause() to have no more (one more piece of up to 16
	 * KiB may be under way). */
	void (*on_data)(void *context, struct str data);
	/* May come while paused, when no data are left. */
	void (*on_done)(void *context, const struct transfer_result *result);
};

/* NULL for no memory (nothing was called). The callbacks may cancel the transfer. */
struct transfer *transfer_start(struct client *client, const struct transfer_request *request,
				const struct transfer_events *events, void *context) MUST_CHECK;
void transfer_pause(struct transfer *transfer);
/* No data is delivered from inside this call. Safe when not paused. */
void transfer_resume(struct transfer *transfer);
/* There is more of the body than `supply` had. Safe at any time. */
void transfer_supply(struct transfer *transfer);
/* For who cancels: on_done tells it otherwise. */
void transfer_get_trace(const struct transfer *transfer, struct transfer_trace *ret_trace);
/* Ends it at once, closing the connection unless the answer was complete. Accepts NULL, returns
 * NULL. */
struct transfer *transfer_cancel(struct transfer *transfer);
