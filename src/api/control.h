/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control plane as the admin face sees it: what only the main thread can tell or do. A request
 * on a worker makes a call and waits; the main thread answers it. The daemon implements it.
 */
#pragma once

#include <stdatomic.h>

#include "api/api.h"
#include "base/buf.h"
#include "loop/waiter.h"

#define CONTROL_REPLY_MAX (1u << 20)

struct control_call;

enum control_verb { CONTROL_STATUS, CONTROL_RELOAD };

struct control {
	struct mailbox *mailbox; /* the main thread's */
	/* On the main thread: fills call->reply and call->result. */
	void (*answer)(struct control *control, struct control_call *call);
};

/* Held by its request and by the main thread, each with a reference. */
struct control_call {
	struct mail mail;
	struct control *control;
	struct waiter *waiter;
	enum control_verb verb;
	_Atomic int references;

	/* Once the waiter is woken: */
	struct buf reply; /* a document, or what is wrong */
	int result;       /* 0; -EINVAL: the configuration has an error; -ESHUTDOWN; -ENOMEM */
};

/* NULL for no memory. The caller holds the reference. */
struct control_call *control_call_new(enum control_verb verb) MUST_CHECK;
/* Sends it to the main thread, which wakes `waiter` with the answer. Once. */
void control_ask(struct control *control, struct control_call *call, struct waiter *waiter);
/* Any thread. Accepts NULL, returns NULL. */
struct control_call *control_call_unref(struct control_call *call);
