/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents about everything, which may be large, and their readers slow: so many at a time for
 * each worker. For one more the one whose reader has taken nothing for the longest time is cut off,
 * so that readers that hold on shut out nobody. When none has stood for long it is the new one that
 * is refused: of many that come at once none is slow. Worker-local.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/list.h"

#define RENDERINGS_MAX 8

struct request;

struct renderings {
	struct list list; /* of requests; the one that has waited longest is the first */
	unsigned n;
};

void renderings_init(struct renderings *renderings);
/* A request begins one. False: it was refused, and replied to. */
bool renderings_enter(struct request *request) MUST_CHECK;
/* Its reader has asked for more. */
void renderings_move_on(struct request *request);
/* Safe when it has none. */
void renderings_leave(struct request *request);
