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
/* That configuration with a backend for each address. What cannot be looked up keeps the addresses
 * it had. A reference; NULL for no memory. */
struct config *address_book_expand(const struct address_book *book) MUST_CHECK;
