/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of local backends that the configuration gives by a host name: looked up when they
 * come into force and again with each health.interval, off the loop. A host of several addresses
 * is several servers, each of which is to be a backend. A service in the cloud stays one: its
 * addresses are its own affair. Main thread only.
 */
#pragma once

#include "base/attr.h"
#include "config/config.h"
#include "loop/loop.h"

struct address_book;

struct address_book_inputs {
	struct loop *loop;
	/* address_book_expand() gives another result now: the host of this backend has n_addresses
	 * that count. From the loop; must not call address_book_configure(). */
	void (*changed)(void *context, const struct backend_config *backend, size_t n_addresses);
	void *context;
};

/* NULL for no memory or no descriptor. */
struct address_book *address_book_new(const struct address_book_inputs *inputs) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct address_book *address_book_free(struct address_book *book);
/* From now on `config`, as loaded, counts (a reference is taken). What is known of a backend whose
 * name and host stay is kept. -ENOMEM leaves everything as it was. */
int address_book_configure(struct address_book *book, struct config *config) MUST_CHECK;
/* The address of the host that has only one, in digits; "": it has none, several, or is unknown. */
const char *address_book_alone(const struct address_book *book, const char *backend);
/* < 0 ends it. */
typedef int address_book_tell_fn(void *context, struct str text);
/* Calls `tell` for each host with several addresses with what address_book_learn() understands;
 * without memory it ends early. */
void address_book_tell(const struct address_book *book, address_book_tell_fn *tell, void *context);
/* Another process knew these addresses; they count until the host is looked up. What is not of this
 * configuration is ignored. */
void address_book_learn(struct address_book *book, struct str text);
/* That configuration with a backend for each address. What cannot be looked up keeps the addresses
 * it had. A reference; NULL for no memory. */
struct config *address_book_expand(const struct address_book *book) MUST_CHECK;
