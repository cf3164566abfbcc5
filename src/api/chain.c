/* SPDX-License-Identifier: Apache-2.0 */
#include "api/chain.h"

#include "api/api_state.h"
#include "api/form.h"
#include "api/relay.h"
#include "api/request.h"
#include "base/clock.h"

static void chain_run(struct request *request)
{
	const struct api_inputs *in = &request->api->in;

	while (request->next_step < in->n_steps) {
		const struct step *step = &in->steps[request->next_step];

		switch (step->run(request, step->context)) {
		case STEP_NEXT:
			request->next_step++;
			break;
		case STEP_REPLIED:
		case STEP_WAIT:
			return;
		}
	}
	relay_start(request);
}

static void woken(void *context)
{
	struct request *request = context;

	request->waiter = NULL;
	chain_run(request);
}

struct waiter *chain_wait(struct request *request)
{
	request->waiter = waiter_new(request->api->in.mailbox, woken, request);
	return request->waiter;
}

/* Mostly the body comes with the head, and no other reading of the clock is needed. */
static uint64_t completed_ns(const struct request *request)
{
	uint64_t arrival_ns = request->exchange->arrival_ns;

	return arrival_ns > loop_now_ns(request->api->in.loop) ? arrival_ns : clock_monotonic_ns();
}

void chain_begin(struct request *request)
{
	request->times.parsed_ns = clock_monotonic_ns();
	chain_run(request);
}

static bool read_json(struct request *request)
{
	struct model_request_error error;

	if (model_request_parse(&request->wanted, buf_str(&request->exchange->body), &error) == 0)
		return true;
	request_problem(request, error.problem, error.message, error.param, NULL);
	return false;
}

void chain_start(struct request *request)
{
	bool known;

	if (request->exchange->body_mode != BODY_FLOWING)
		request->times.complete_ns = completed_ns(request);
	known = request->form ? form_complete(request) : read_json(request);
	request->times.parsed_ns = clock_monotonic_ns();
	if (known)
		chain_run(request);
}
