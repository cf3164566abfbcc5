/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a listener needs for TLS: its certificate, its key and the authorities of its clients, read
 * once and then immutable, shared by reference over all threads. The only place that knows gnutls;
 * libmicrohttpd makes the sessions and moves their bytes.
 */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"
#include "config/config.h"

struct tls;

/* Reads the files that `config` names; *ret_tls is NULL when it names none. -EINVAL or -ENOMEM with
 * the line in `error`. */
int tls_load(const struct listener_config *config, struct tls **ret_tls,
	     struct buf *error) MUST_CHECK;
struct tls *tls_ref(struct tls *tls);
/* The last reference frees it; accepts NULL, returns NULL. */
struct tls *tls_unref(struct tls *tls);
/* Were the files the same to the byte? Either may be NULL. */
bool tls_is_equal(const struct tls *one, const struct tls *other);

/* A new session of libmicrohttpd gets what is to be shown to the client and asked of it. It borrows
 * `tls` until its end. */
void tls_begin(const struct tls *tls, struct MHD_Connection *connection);
/* Sends what there is room for, perhaps nothing, and the end; nothing while all is in the clear. */
void tls_send_last(struct MHD_Connection *connection, struct str bytes);

/* Has it taken bytes off the socket that nobody has asked for yet? */
bool tls_has_unread(struct MHD_Connection *connection);

/* How a daemon of libmicrohttpd is started whose sessions are given to tls_begin(). */
enum { TLS_OPTIONS = 3 };
void tls_options(struct MHD_OptionItem ret_options[static TLS_OPTIONS]);
