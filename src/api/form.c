/* SPDX-License-Identifier: Apache-2.0 */
#include "api/form.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/chain.h"
#include "api/relay.h"
#include "base/multipart.h"

static void refuse(struct request *request, enum multipart_error what)
{
	bool in_field = what == MULTIPART_TWICE || what == MULTIPART_NOT_PLAIN ||
			what == MULTIPART_TOO_LONG;
	enum problem problem = in_field ? PROBLEM_INVALID_FIELD : PROBLEM_INVALID_FORM;
	char message[192];

	if (what == MULTIPART_NO_MEMORY)
		problem = PROBLEM_OVERLOADED;
	snprintf(message, sizeof(message),
		 "The request body is not a form that can be routed: %s at byte %llu.",
		 multipart_error_text(what), (unsigned long long)request->form->offset);
	request_problem(request, problem, message, in_field ? "model" : NULL, NULL);
}

/* Found out while the rest of it was handed on: no backend gets it whole. */
static void refuse_flowing(struct request *request, enum multipart_error what)
{
	request->waiter = waiter_abandon(request->waiter);
	if (request->relay)
		relay_stop(request->relay);
	if (request->exchange->reply_state == REPLY_NONE)
		refuse(request, what);
	else if (request->exchange->outbox_state == OUTBOX_OPEN)
		relay_break(request->relay, PROBLEM_INVALID_FORM);
}

void form_begin(struct request *request, struct str content_type)
{
	enum multipart_error wrong;

	request->form = calloc(1, sizeof(*request->form));
	if (!request->form) {
		request_problem(request, PROBLEM_OVERLOADED, NULL, NULL, NULL);
		return;
	}
	wrong = multipart_init(request->form, content_type, "model", MODEL_NAME_MAX);
	if (wrong == MULTIPART_OK)
		exchange_watch_body(request->exchange);
	else
		refuse(request, wrong);
}

/* Of what is known so far; replies when it is no good. */
static bool take_model(struct request *request, struct str text)
{
	struct model_request_error error;

	if (model_request_take_form(&request->wanted, text, request->form, &error) == 0)
		return true;
	request_problem(request, error.problem, error.message, error.param, NULL);
	return false;
}

void form_received(struct request *request, struct str piece)
{
	struct exchange *exchange = request->exchange;
	enum multipart_error wrong = multipart_feed(request->form, piece);

	if (wrong != MULTIPART_OK) {
		refuse_flowing(request, wrong);
	} else if (exchange->body_mode == BODY_FLOWING) {
		if (request->relay)
			relay_supply(request->relay);
	} else if (request->form->found && exchange->body.len >= EXCHANGE_BODY_WINDOW_BYTES) {
		exchange_let_body_flow(exchange);
		if (take_model(request, (struct str){NULL, 0}))
			chain_begin(request);
	}
}

bool form_complete(struct request *request)
{
	struct exchange *exchange = request->exchange;
	enum multipart_error wrong = multipart_end(request->form);

	if (wrong != MULTIPART_OK)
		refuse_flowing(request, wrong);
	else if (exchange->body_mode != BODY_FLOWING)
		return take_model(request, buf_str(&exchange->body));
	else if (request->relay)
		relay_supply(request->relay);
	return false;
}

void form_end(struct request *request)
{
	if (!request->form)
		return;
	multipart_done(request->form);
	free(request->form);
	request->form = NULL;
}
