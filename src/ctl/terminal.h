/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full-screen view: the terminal's other screen, keys without echo, signals as events. Whatever
 * ends the view, terminal_leave() gives the terminal back as it was.
 */
#pragma once

#include <stdint.h>
#include <termios.h>

#include "base/attr.h"
#include "base/buf.h"
#include "ctl/ctl.h"

struct terminal {
	struct termios saved;
	int signals; /* a signalfd */
};

enum terminal_event {
	TERMINAL_DUE,     /* the time is over */
	TERMINAL_RESIZED, /* draw anew */
	TERMINAL_QUIT     /* q, Ctrl-C, a signal, or the terminal is gone */
};

/* -ENOTTY unless both standard streams are terminals; -errno. */
int terminal_enter(struct terminal *terminal) MUST_CHECK;
void terminal_leave(struct terminal *terminal);
enum terminal_event terminal_wait(struct terminal *terminal, uint64_t due_ns);
/* Shows the first screen->rows lines of `frame` in one write. -errno, -ENOMEM. */
int terminal_draw(const struct screen *screen, struct str frame) MUST_CHECK;
