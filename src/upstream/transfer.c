/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/transfer.h"

#include "upstream/transport.h"

static const struct transport *const transports[] = {
	[TARGET_HTTP] = &transport_http,
	[TARGET_DEMO] = &transport_demo,
};

struct transfer *transfer_start(struct client *client, const struct transfer_request *request,
				const struct transfer_events *events, void *context)
{
	const struct transport *transport = transports[request->target->transport];
	struct transfer *transfer = transport->start(client, request);

	if (!transfer)
		return NULL;
	transfer->transport = transport;
	transfer->events = *events;
	transfer->context = context;
	return transfer;
}

void transfer_pause(struct transfer *transfer)
{
	transfer->transport->pause(transfer);
}

void transfer_resume(struct transfer *transfer)
{
	transfer->transport->resume(transfer);
}

void transfer_supply(struct transfer *transfer)
{
	transfer->transport->supply(transfer);
}

void transfer_get_trace(const struct transfer *transfer, struct transfer_trace *ret_trace)
{
	transfer->transport->trace(transfer, ret_trace);
}

struct transfer *transfer_cancel(struct transfer *transfer)
{
	if (transfer)
		transfer->transport->cancel(transfer);
	return NULL;
}
