/* SPDX-License-Identifier: Apache-2.0 */
#include "api/control.h"

#include <stdlib.h>

static void deliver(struct mail *mail)
{
	struct control_call *call = container_of(mail, struct control_call, mail);

	call->control->answer(call->control, call);
	waiter_wake(call->waiter);
	control_call_unref(call);
}

struct control_call *control_call_new(enum control_verb verb)
{
	struct control_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->mail.deliver = deliver;
	call->verb = verb;
	call->references = 1;
	buf_init(&call->reply, CONTROL_REPLY_MAX);
	return call;
}

void control_ask(struct control *control, struct control_call *call, struct waiter *waiter)
{
	call->control = control;
	call->waiter = waiter;
	call->references = 2;
	mailbox_post(control->mailbox, &call->mail);
}

struct control_call *control_call_unref(struct control_call *call)
{
	/* Release what this thread did with it; the last one acquires what the other did. */
	if (!call || atomic_fetch_sub_explicit(&call->references, 1, memory_order_acq_rel) > 1)
		return NULL;
	buf_done(&call->reply);
	free(call);
	return NULL;
}
