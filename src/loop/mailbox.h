/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop's mailbox: any thread posts, the loop's thread delivers in the order of posting.
 * A mail is embedded in what it carries and belongs to the receiver once posted.
 */
#pragma once

#include "base/attr.h"
#include "loop/loop.h"

struct mail {
	struct mail *next;
	void (*deliver)(struct mail *mail); /* on the receiving loop's thread; may free the mail */
};

struct mailbox;

struct mailbox *mailbox_new(struct loop *loop) MUST_CHECK;
/* Delivers what is still in it; nobody may post any more. Accepts NULL, returns NULL. */
struct mailbox *mailbox_free(struct mailbox *mailbox);
/* Any thread. Never fails, never blocks. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);
