/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listening socket, opened once by the main thread and accepted from by every worker through
 * its own epoll (EPOLLEXCLUSIVE). One shared queue per address: a connection waits for whichever
 * worker is free, and none is lost when a worker goes. What is served there does not change: for
 * that the socket is duplicated under another listener. Shared by reference.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/list.h"

struct tls;

struct listener {
	_Atomic int references;
	struct list node; /* the opener's */
	int fd;
	unsigned faces;
	unsigned unix_mode; /* of a unix socket's file */
	bool is_tcp;
	char *asked;       /* the address as configured, or NULL */
	char *address;     /* the same with the port the kernel chose */
	char *name;        /* under which it was inherited; NULL: opened by nexusd */
	char *unlink_path; /* of a unix socket we made, or NULL */
	struct stat file;  /* and which file that was */
	struct tls *tls;   /* a reference; NULL: plain */
};

/* Binds and listens; one reference. -errno. */
int listener_open(const char *address, unsigned faces, unsigned unix_mode,
		  struct listener **ret_listener) MUST_CHECK;
/* Takes over a listening socket that was inherited under a name; NULL: from another nexusd.
 * -EINVAL when it is none. */
int listener_adopt(int fd, unsigned faces, const char *name,
		   struct listener **ret_listener) MUST_CHECK;
/* The file of a unix socket is ours, as if we had made it; other kinds have none. -ENOMEM, or
 * -errno of chmod(2). */
int listener_own_file(struct listener *listener) MUST_CHECK;
/* The file of a unix socket is another process' from now on. */
void listener_leave_file(struct listener *listener);
/* Does an inherited socket have this configured address? */
bool listener_has_address(int fd, const char *address);
/* Can only this machine reach it: loopback, or a unix socket? */
bool listener_is_local(int fd);
bool listener_is_unix(int fd);
struct listener *listener_ref(struct listener *listener);
/* The last reference closes it and removes the file of a unix socket. Accepts NULL, returns NULL.
 */
struct listener *listener_unref(struct listener *listener);
/* Is there a reference beside the caller's? */
bool listener_is_shared(const struct listener *listener);
/* Is it one of these? */
bool listeners_include(struct listener *const *listeners, size_t n,
		       const struct listener *listener);
/* Does one of these take from the queue of this address, under another listener perhaps? */
bool listeners_have_address(struct listener *const *listeners, size_t n, const char *address);
