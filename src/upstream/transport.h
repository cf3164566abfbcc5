/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind transfer.h: one vtable per way to reach a target. A transport embeds struct
 * transfer as the first thing of its own object and frees it after on_done or cancel. On the
 * loop's thread.
 */
#pragma once

#include "upstream/transfer.h"

struct transport {
	/* As transfer_start(), but `base` is filled in by the caller. */
	struct transfer *(*start)(struct client *client, const struct transfer_request *request);
	void (*pause)(struct transfer *transfer);
	void (*resume)(struct transfer *transfer);
	void (*supply)(struct transfer *transfer);
	void (*trace)(const struct transfer *transfer, struct transfer_trace *ret_trace);
	void (*cancel)(struct transfer *transfer);
};

struct transfer {
	const struct transport *transport;
	struct transfer_events events;
	void *context;
};

extern const struct transport transport_http, transport_demo;
