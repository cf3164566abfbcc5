/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of one host that are servers of their own, in digits. Each has a number that it
 * keeps for as long as it is told; at first they are numbered in an order that does not depend on
 * how they were told. Embedded in its owner.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "loop/resolver.h"

enum { ADDRESS_LIST_MAX = 32 };

struct address_list {
	char texts[ADDRESS_LIST_MAX][INET6_ADDRSTRLEN]; /* by number; "": nobody has it */
	size_t n;                                       /* addresses; never 1 */
	char alone[INET6_ADDRSTRLEN]; /* the one of a host that has one; "": unknown */
};

/*
 * Takes an answer's addresses of one family, as a server usually has one of each: of the one with
 * more of them, or of the answer's first. Tells whether the list is another now. Of more than there
 * is room for, those that are here already stay.
 */
bool address_list_take(struct address_list *list, const struct resolver_answer *answer);

/* The addresses in the order of their numbers, "-" for a number that nobody has. */
int address_list_write(const struct address_list *list, struct buf *text) MUST_CHECK;
/* The reverse; anything else is -EINVAL. */
int address_list_read(struct str text, struct address_list *ret_list) MUST_CHECK;
