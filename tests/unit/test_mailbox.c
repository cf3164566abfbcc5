/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/mailbox.h"

#include <pthread.h>
#include <stdlib.h>

#include "loop/waiter.h"
#include "tap.h"

enum { POSTERS = 4, MAILS = 5000 };

struct letter {
	struct mail mail;
	int poster, number;
};

static struct loop *loop;
static struct mailbox *mailbox;
static int next_of[POSTERS];
static int delivered, out_of_order;

static void deliver(struct mail *mail)
{
	struct letter *letter = container_of(mail, struct letter, mail);

	if (letter->number != next_of[letter->poster]++)
		out_of_order++;
	if (++delivered == POSTERS * MAILS)
		loop_stop(loop);
	free(letter);
}

static void *post_many(void *context)
{
	int poster = *(int *)context;

	for (int i = 0; i < MAILS; i++) {
		struct letter *letter = malloc(sizeof(*letter));

		if (!letter)
			abort();
		*letter = (struct letter){.mail.deliver = deliver, .poster = poster, .number = i};
		mailbox_post(mailbox, &letter->mail);
	}
	return NULL;
}

static void all_mails_arrive_in_order(void)
{
	pthread_t threads[POSTERS];
	int posters[POSTERS];

	for (int i = 0; i < POSTERS; i++) {
		posters[i] = i;
		if (pthread_create(&threads[i], NULL, post_many, &posters[i]) != 0)
			abort();
	}
	loop_run(loop);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	is_int(delivered, POSTERS * MAILS, "every mail of every thread was delivered once");
	is_int(out_of_order, 0, "each thread's in the order of posting");
}

static int woken;

static void wake(void *context)
{
	*(int *)context += 1;
	loop_stop(loop);
}

static void *wake_from_another_thread(void *waiter)
{
	waiter_wake(waiter);
	return NULL;
}

static void start_to_wake(pthread_t *thread, struct waiter *waiter)
{
	if (pthread_create(thread, NULL, wake_from_another_thread, waiter) == 0)
		return;
	wake_from_another_thread(waiter); /* so that it is not lost */
	abort();
}

static void a_waiter_wakes_on_its_own_loop(void)
{
	struct waiter *waiter = waiter_new(mailbox, wake, &woken);
	pthread_t thread;

	if (!waiter)
		abort();
	start_to_wake(&thread, waiter);
	loop_run(loop);
	pthread_join(thread, NULL);
	is_int(woken, 1, "the waiter was woken once");
}

static void an_abandoned_waiter_is_only_freed(void)
{
	struct waiter *waiter = waiter_new(mailbox, wake, &woken);
	pthread_t thread;

	if (!waiter)
		abort();
	ok(waiter_abandon(waiter) == NULL, "a waiter can be abandoned");
	start_to_wake(&thread, waiter);
	pthread_join(thread, NULL);
	/* Delivered by the end of the mailbox, which also shows that nothing is left behind. */
	mailbox = mailbox_free(mailbox);
	is_int(woken, 1, "and its wake-up reaches nobody");
}

int main(void)
{
	loop = loop_new();
	mailbox = loop ? mailbox_new(loop) : NULL;
	if (!ok(mailbox != NULL, "a mailbox"))
		return tap_done();
	all_mails_arrive_in_order();
	a_waiter_wakes_on_its_own_loop();
	an_abandoned_waiter_is_only_freed();
	loop_free(loop);
	return tap_done();
}
