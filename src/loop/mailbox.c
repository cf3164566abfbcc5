/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/mailbox.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
	struct loop *loop;
	struct watch watch;
	int event_fd;
	_Atomic(struct mail *) posted; /* newest first */
};

static void deliver_all(struct mailbox *mailbox)
{
	/* Acquire: what the poster wrote before posting is seen. Pairs with mailbox_post(). */
	struct mail *mail = atomic_exchange_explicit(&mailbox->posted, NULL, memory_order_acquire);
	struct mail *oldest = NULL;

	while (mail) {
		struct mail *next = mail->next;

		mail->next = oldest;
		oldest = mail;
		mail = next;
	}
	while (oldest) {
		struct mail *next = oldest->next;

		oldest->deliver(oldest);
		oldest = next;
	}
}

static void mailbox_ready(struct watch *watch, uint32_t events UNUSED)
{
	struct mailbox *mailbox = container_of(watch, struct mailbox, watch);
	uint64_t count;

	/* Emptied before taking the mails: one posted in between only causes an idle wake-up. */
	(void)!read(mailbox->event_fd, &count, sizeof(count));
	deliver_all(mailbox);
}

struct mailbox *mailbox_new(struct loop *loop)
{
	struct mailbox *mailbox = calloc(1, sizeof(*mailbox));

	if (!mailbox)
		return NULL;
	mailbox->loop = loop;
	watch_init(&mailbox->watch, mailbox_ready);
	mailbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (mailbox->event_fd >= 0 &&
	    loop_watch(loop, &mailbox->watch, mailbox->event_fd, EPOLLIN) == 0)
		return mailbox;
	if (mailbox->event_fd >= 0)
		close(mailbox->event_fd);
	free(mailbox);
	return NULL;
}

struct mailbox *mailbox_free(struct mailbox *mailbox)
{
	if (!mailbox)
		return NULL;
	deliver_all(mailbox);
	loop_unwatch(mailbox->loop, &mailbox->watch);
	close(mailbox->event_fd);
	free(mailbox);
	return NULL;
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
	uint64_t one = 1;

	mail->next = atomic_load_explicit(&mailbox->posted, memory_order_relaxed);
	/* Release: pairs with the acquire in deliver_all(). */
	while (!atomic_compare_exchange_weak_explicit(&mailbox->posted, &mail->next, mail,
						      memory_order_release, memory_order_relaxed))
		;
	/* Cannot fail but for a full counter, and then the loop is awake anyhow. */
	(void)!write(mailbox->event_fd, &one, sizeof(one));
}
