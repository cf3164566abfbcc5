/* SPDX-License-Identifier: Apache-2.0 */
#include "api/renderings.h"

#include "api/api_state.h"
#include "api/request.h"
#include "base/clock.h"

/* Whoever takes nothing for so long is slow, and did not only have to wait for its turn. */
#define SLOW_NS NS_PER_SEC

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

static bool make_room(struct renderings *renderings, uint64_t now)
{
	struct request *first;

	if (renderings->n < RENDERINGS_MAX)
		return true;
	first = list_entry(renderings->list.next, struct request, rendering);
	if (now - first->rendering_moved_ns < SLOW_NS)
		return false;
	cut_off(first);
	return true;
}

static void line_up(struct request *request)
{
	list_append(&request->api->renderings.list, &request->rendering);
	request->rendering_moved_ns = loop_now_ns(request->api->in.loop);
}

bool renderings_enter(struct request *request)
{
	struct renderings *renderings = &request->api->renderings;

	if (!make_room(renderings, loop_now_ns(request->api->in.loop))) {
		request_problem(request, PROBLEM_OVERLOADED,
				"As many clients as may are reading the metrics already.", NULL,
				NULL);
		return false;
	}
	line_up(request);
	renderings->n++;
	return true;
}

void renderings_move_on(struct request *request)
{
	if (list_is_empty(&request->rendering))
		return;
	list_remove(&request->rendering);
	line_up(request);
}

void renderings_leave(struct request *request)
{
	if (list_is_empty(&request->rendering))
		return;
	list_remove(&request->rendering);
	request->api->renderings.n--;
}
