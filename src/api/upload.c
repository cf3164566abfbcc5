/* SPDX-License-Identifier: Apache-2.0 */
#include "api/upload.h"

#include <errno.h>

#include "api/relay_state.h"

/* What was handed on stays until the window is full: so long another backend can be tried. */
static void make_room(struct relay *relay)
{
	struct exchange *exchange = relay->request->exchange;
	size_t sent = (size_t)(relay->upload.at - exchange->dropped_bytes);

	/* By halves, so that little has to be moved in it. */
	if (!exchange->request_complete && exchange->body.len >= EXCHANGE_BODY_WINDOW_BYTES &&
	    sent >= EXCHANGE_BODY_WINDOW_BYTES / 2)
		exchange_drop_body(exchange, sent);
}

/* What comes next of the name; empty when it is not its turn. */
static struct str next_of_name(struct upload *upload, const struct model_request *wanted)
{
	struct str name = str_of(upload->model);

	if (!name.p || upload->at != wanted->model_at)
		return (struct str){NULL, 0};
	name = (struct str){name.p + upload->model_at, name.n - upload->model_at};
	if (name.n == 0) {
		upload->at += wanted->model_value_bytes;
		upload->model = NULL;
	}
	return name;
}

/* What comes next of the client's bytes. */
static struct str next_of_body(const struct relay *relay)
{
	const struct exchange *exchange = relay->request->exchange;
	size_t skip = (size_t)(relay->upload.at - exchange->dropped_bytes);
	struct str rest = {exchange->body.data + skip, exchange->body.len - skip};

	if (relay->upload.model)
		rest.n = relay->request->wanted.model_at - (size_t)relay->upload.at;
	return rest;
}

static ssize_t supply(void *context, char *out, size_t room)
{
	struct relay *relay = context;
	struct str next = next_of_name(&relay->upload, &relay->request->wanted);
	bool is_name = next.n > 0;

	if (!is_name)
		next = next_of_body(relay);
	if (next.n > room)
		next.n = room;
	if (next.n == 0)
		return relay->request->exchange->request_complete ? 0 : -EAGAIN;
	memcpy(out, next.p, next.n);
	if (!relay->head_ns)
		relay->asked_ns = loop_now_ns(relay_loop(relay));
	if (is_name) {
		relay->upload.model_at += next.n;
		return (ssize_t)next.n;
	}
	relay->upload.at += next.n;
	make_room(relay);
	return (ssize_t)next.n;
}

void upload_describe(struct relay *relay, const char *model, struct transfer_request *request)
{
	const struct exchange *exchange = relay->request->exchange;
	const struct model_request *wanted = &relay->request->wanted;

	relay->upload = (struct upload){.model = model};
	request->supply = supply;
	request->supplied_bytes = exchange->body_bytes;
	if (model && exchange->body_bytes >= 0)
		request->supplied_bytes +=
			(int64_t)strlen(model) - (int64_t)wanted->model_value_bytes;
}

bool upload_arrives(const struct relay *relay)
{
	const struct exchange *exchange = relay->request->exchange;

	return exchange->body_mode == BODY_FLOWING && !exchange->request_complete;
}

bool upload_is_starved(const struct relay *relay)
{
	const struct exchange *exchange = relay->request->exchange;

	return upload_arrives(relay) &&
	       relay->upload.at == exchange->dropped_bytes + exchange->body.len;
}
