/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handover, the side of the process that runs: it starts the program on disk, which inherits the
 * listening sockets, and once that serves it takes nothing new, finishes what it has, tells what it
 * counted and ends. Until then nothing has changed, and a new process that fails changes nothing.
 * Owned by the daemon; main thread only.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct daemon;
struct handover;

/* Begins one, unless one is under way. Why it could not is logged. */
void handover_begin(struct daemon *daemon);
/* A reload is wanted: true when it is left to whoever serves when the handover has ended. */
bool handover_defers_reload(struct handover *handover);
/* Calls one off that is under way: a stop was asked for. */
void handover_call_off(struct daemon *daemon);
/* The end of both sides. Nothing counts any more: the process that took over hears the last of it.
 */
void handover_down(struct daemon *daemon);
