/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/waiter.h"

#include <stdlib.h>

struct waiter {
	struct mail mail;
	struct mailbox *mailbox;
	void (*wake)(void *context); /* the mailbox's thread only; NULL once abandoned */
	void *context;
};

static void waiter_deliver(struct mail *mail)
{
	struct waiter *waiter = container_of(mail, struct waiter, mail);

	if (waiter->wake)
		waiter->wake(waiter->context);
	free(waiter);
}

struct waiter *waiter_new(struct mailbox *mailbox, void (*wake)(void *context), void *context)
{
	struct waiter *waiter = malloc(sizeof(*waiter));

	if (waiter)
		*waiter = (struct waiter){
			.mail.deliver = waiter_deliver,
			.mailbox = mailbox,
			.wake = wake,
			.context = context,
		};
	return waiter;
}

void waiter_wake(struct waiter *waiter)
{
	mailbox_post(waiter->mailbox, &waiter->mail);
}

struct waiter *waiter_abandon(struct waiter *waiter)
{
	if (waiter)
		waiter->wake = NULL;
	return NULL;
}
