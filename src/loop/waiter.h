/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a step that answers WAIT leaves behind: whoever frees the resource wakes it from any
 * thread, and the wake-up arrives on the waiter's own loop. A request that ends first abandons
 * its waiter; the wake-up then only frees it, so nobody ever holds a pointer to a dead request.
 */
#pragma once

#include "loop/mailbox.h"

struct waiter;

/* `wake` runs once, on the mailbox's thread, unless abandoned before. NULL for no memory. */
struct waiter *waiter_new(struct mailbox *mailbox, void (*wake)(void *context),
			  void *context) MUST_CHECK;
/* Any thread, exactly once per waiter; the caller must not touch it afterwards. */
void waiter_wake(struct waiter *waiter);
/* The mailbox's thread only. Accepts NULL, returns NULL. */
struct waiter *waiter_abandon(struct waiter *waiter);
