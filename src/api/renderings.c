/* SPDX-License-Identifier: Apache-2.0 */
#include "api/renderings.h"

#include "api/api_state.h"
#include "api/request.h"

void renderings_init(struct renderings *renderings)
{
	*renderings = (struct renderings){.n = 0};
	list_init(&renderings->list);
}

static void cut_off(struct request *request)
{
	const struct problem_row *row = problem_row(PROBLEM_OVERLOADED);

	renderings_leave(request);
	request->status = row->status;
	request->error_type = row->error_type;
	exchange_finish(request->exchange, OUTBOX_CUT);
	exchange_abort(request->exchange);
}

void renderings_enter(struct request *request)
{
	struct renderings *renderings = &request->api->renderings;

	if (renderings->n == RENDERINGS_MAX)
		cut_off(list_entry(renderings->list.next, struct request, rendering));
	list_append(&renderings->list, &request->rendering);
	renderings->n++;
}

void renderings_move_on(struct request *request)
{
	if (list_is_empty(&request->rendering))
		return;
	list_remove(&request->rendering);
	list_append(&request->api->renderings.list, &request->rendering);
}

void renderings_leave(struct request *request)
{
	if (list_is_empty(&request->rendering))
		return;
	list_remove(&request->rendering);
	request->api->renderings.n--;
}
