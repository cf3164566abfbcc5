/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list; the head is a node of its own. Nothing is owned here. */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *node)
{
	node->next = node->prev = node;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Safe on a node that is in no list but was initialised. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) container_of(node, type, member)
/* `next` is fetched before the body runs, so the body may remove and free `node`. */
#define list_for_each(node, following, head)                                            \
	for (struct list *node = (head)->next, *following = node->next; node != (head); \
	     node = following, following = node->next)
