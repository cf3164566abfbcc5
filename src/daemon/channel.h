/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two processes of a handover say to each other, over a pair of sockets: messages of one
 * byte, their kind, and perhaps a body. A kind that one side does not know is for it to ignore, so
 * that versions may differ. Main thread only.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"
#include "metrics/transcript.h"

/* X(id, the byte, from which side) */
#define CHANNEL_KINDS(X)                                                                  \
	X(PREPARED, 'p')  /* new: knows its backends and could serve; wants the counts */ \
	X(COUNTS, 'c')    /* old: a piece of a transcript */                              \
	X(ADDRESSES, 'a') /* old, before the new one starts: address_book_tell() */       \
	X(DRAINED, 'd')   /* old: an operator drains that name, or address of a name */   \
	X(UNDRAINED, 'u') /* old: but not that address of it */                           \
	X(ABSENT, 'b')    /* old: drained, too, should it have that address again */      \
	X(COUNTED, 'e')   /* old: these were all counts up to now */                      \
	X(SERVING, 's')   /* new: accepts connections */                                  \
	X(MAIN, 'm')      /* old: you are the main process now */                         \
	X(HURRY, 'h')     /* new: end what you still have */

enum channel_kind {
#define X(id, byte) CHANNEL_##id = (byte),
	CHANNEL_KINDS(X)
#undef X
};

struct channel_message {
	char kind;
	struct str body; /* in `bytes` */
	char bytes[1 + TRANSCRIPT_MAX_BYTES];
};

/* Two connected sockets, close-on-exec. -errno. */
int channel_pair(int ret_fds[static 2]) MUST_CHECK;
/* Waits for the other side to read, for a few seconds at most. -errno. */
int channel_send(int fd, enum channel_kind kind, struct str body) MUST_CHECK;
/* The same, but what does not fit is -EAGAIN. */
int channel_try_to_send(int fd, enum channel_kind kind, struct str body) MUST_CHECK;
/* Does not wait. -EAGAIN: there is none; anything else: the other side is gone. */
int channel_receive(int fd, struct channel_message *ret_message) MUST_CHECK;
