/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "api/api_state.h"
#include "api/control.h"
#include "api/cors.h"
#include "api/form.h"
#include "api/media.h"
#include "api/pause.h"
#include "api/pieces.h"
#include "api/record.h"
#include "api/relay.h"
#include "api/request.h"
#include "api/router.h"

struct api *api_new(const struct api_inputs *inputs)
{
	struct api *api = calloc(1, sizeof(*api));

	if (!api)
		return NULL;
	api->in = *inputs;
	hash_random_init(&api->random, hash_seed_new());
	record_init(&api->series, inputs->registry);
	pause_init(&api->pause);
	renderings_init(&api->renderings);
	request_log_init(&api->log, inputs->loop, inputs->registry, inputs->slab);
	return api;
}

/* Accepts NULL. */
static void table_use_free(struct table_use *use)
{
	if (!use)
		return;
	route_table_unref(use->table);
	buf_done(&use->models);
	free(use);
}

struct api *api_free(struct api *api)
{
	if (!api)
		return NULL;
	assert(!api->use || api->use->n_requests == 0);
	table_use_free(api->use);
	table_use_free(api->offered);
	free(api->spare);
	loop_timer_clear(api->in.loop, &api->pause);
	request_log_done(&api->log);
	free(api);
	return NULL;
}

int api_expect_route_table(struct api *api)
{
	if (!api->spare)
		api->spare = calloc(1, sizeof(*api->spare));
	return api->spare ? 0 : -ENOMEM;
}

void api_offer_route_table(struct api *api, struct route_table *table)
{
	struct table_use *use = api->spare;

	assert(use);
	api->spare = NULL;
	use->table = route_table_ref(table);
	/* Release: whoever takes it sees what is in it. Acquire: one that nobody took ends here. */
	table_use_free(atomic_exchange_explicit(&api->offered, use, memory_order_acq_rel));
}

const struct route_table *api_take_route_table(struct api *api)
{
	struct table_use *before = api->use;

	if (atomic_load_explicit(&api->offered, memory_order_relaxed)) {
		/* Acquire: pairs with api_offer_route_table(). */
		api->use = atomic_exchange_explicit(&api->offered, NULL, memory_order_acquire);
		if (before)
			before->retired = true;
		if (before && before->n_requests == 0)
			table_use_free(before);
	}
	return api->use->table;
}

/* A request's hold on the route table in force: on the newest one, even if it came after what woke
 * the worker. */
static struct table_use *table_hold(struct api *api)
{
	(void)api_take_route_table(api);
	api->use->n_requests++;
	return api->use;
}

static void table_drop(struct table_use *use)
{
	if (--use->n_requests == 0 && use->retired)
		table_use_free(use);
}

/* Makes the request the exchange's user; NULL for no memory. */
static struct request *request_new(struct api *api, struct exchange *exchange)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->api = api;
	request->exchange = exchange;
	request->use = table_hold(api);
	request->table = request->use->table;
	request->error_type = ERROR_TYPE_NONE;
	list_init(&request->rendering);
	request_id_choose(request->id, exchange_header(exchange, "X-Request-Id"), &api->random);
	exchange->user = request;
	record_begin(request);
	return request;
}

/* Stops what runs for it, counts it, logs it and frees it. */
static void request_end(struct request *request, bool delivered)
{
	waiter_abandon(request->waiter);
	if (!delivered)
		record_undelivered(request);
	if (request->relay)
		relay_settle(request->relay);
	record_end(request);
	relay_free(request->relay);
	pieces_free(request->pieces);
	form_end(request);
	control_call_unref(request->call);
	renderings_leave(request);
	table_drop(request->use);
	free(request);
}

/* Without a type it is, unless a page sends it: its browser asks before it sends JSON, but not
 * before it sends what has no type. */
static bool is_json(const struct request *request, struct str type)
{
	return type.n ? media_is_json(type) : !exchange_header(request->exchange, "Origin").n;
}

/* What the head of a request for a model must say before its body is read. */
static void judge_model_head(struct request *request)
{
	struct str type = exchange_header(request->exchange, "Content-Type");
	struct str coding = exchange_header(request->exchange, "Content-Encoding");

	if (coding.n && !str_eq_nocase(coding, STR_LITERAL("identity")))
		request_problem(request, PROBLEM_UNSUPPORTED_MEDIA_TYPE,
				"A compressed request body is not taken; send it without "
				"Content-Encoding.",
				NULL, NULL);
	else if (request->route->flags & ROUTE_FORM && media_is_form(type))
		form_begin(request, type);
	else if (!is_json(request, type))
		request_problem(request, PROBLEM_UNSUPPORTED_MEDIA_TYPE,
				request->route->flags & ROUTE_FORM
					? "The body must be multipart/form-data or JSON; say which "
					  "in the header Content-Type."
					: NULL,
				NULL, NULL);
}

static bool is_for_watchers(const struct request *request)
{
	return request->route && (request->route->flags & ROUTE_WATCH);
}

static void begin(struct exchange *exchange, enum problem refusal)
{
	struct api *api = exchange_context(exchange);
	struct request *request = request_new(api, exchange);
	enum problem problem;

	if (!request) {
		record_refusal(api, PROBLEM_OVERLOADED);
		exchange_abort(exchange);
		return;
	}
	problem = router_match(request);
	if (refusal != PROBLEM_NONE)
		problem = refusal;
	else if (exchange->is_reserved && !is_for_watchers(request))
		problem = PROBLEM_OVERLOADED;
	else if (problem == PROBLEM_METHOD_NOT_ALLOWED && cors_answers(request))
		return;
	if (problem != PROBLEM_NONE)
		request_problem(request, problem, NULL, NULL, NULL);
	else if (request->route->flags & ROUTE_MODEL)
		judge_model_head(request);
}

static void received(struct exchange *exchange, struct str piece)
{
	form_received(exchange->user, piece);
}

static void handle(struct exchange *exchange)
{
	struct request *request = exchange->user;

	request->route->handler(request);
}

static void drained(struct exchange *exchange)
{
	struct request *request = exchange->user;

	if (request->relay)
		relay_drained(request->relay);
	else if (request->pieces) {
		renderings_move_on(request);
		pieces_drained(request->pieces);
	}
}

static void gone(struct exchange *exchange)
{
	struct request *request = exchange->user;

	request->waiter = waiter_abandon(request->waiter);
	if (request->relay)
		relay_stop(request->relay);
}

static void overdue(struct exchange *exchange)
{
	struct request *request = exchange->user;

	request->waiter = waiter_abandon(request->waiter);
	if (request->relay)
		relay_stop(request->relay);
	if (exchange->reply_state == REPLY_NONE && request->relay)
		relay_refuse(request->relay, PROBLEM_SHUTTING_DOWN);
	else if (exchange->reply_state == REPLY_NONE)
		request_problem(request, PROBLEM_SHUTTING_DOWN, NULL, NULL, NULL);
	else if (exchange->outbox_state == OUTBOX_OPEN && request->relay)
		relay_break(request->relay, PROBLEM_SHUTTING_DOWN);
	else if (exchange->outbox_state == OUTBOX_OPEN) {
		request->status = problem_row(PROBLEM_SHUTTING_DOWN)->status;
		exchange_finish(exchange, OUTBOX_CUT);
	}
}

static void end(struct exchange *exchange, bool delivered)
{
	/* NULL when there was no memory for it. */
	if (exchange->user)
		request_end(exchange->user, delivered);
}

static void refused(void *context, enum problem problem)
{
	record_refusal(context, problem);
}

static void connections(void *context, int delta)
{
	struct api *api = context;

	slab_gauge_add(api->in.slab, api->series.connections, delta);
}

static void crowded(void *context, enum http_ceiling ceiling)
{
	struct api *api = context;

	slab_add(api->in.slab, api->series.crowded[ceiling], 1);
}

const struct http_ops api_ops = {
	.begin = begin,
	.received = received,
	.request = handle,
	.drained = drained,
	.gone = gone,
	.overdue = overdue,
	.end = end,
	.refused = refused,
	.connections = connections,
	.crowded = crowded,
};
