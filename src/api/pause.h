/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends that are left alone for a time, held by a 429 or while their circuits are open. Who
 * waits in vain is told when that begins, and who waits for its end when that comes: by the worker
 * whose attempt began it, or whose request came to wait. api->pause is for the one that ends first.
 */
#pragma once

#include "loop/loop.h"

struct api;
struct attempts;
struct backend;

void pause_init(struct timer *pause);
/* Something was learnt of the backend: it may be left alone now. */
void pause_heed(struct api *api, struct backend *backend);
/* It is not any more, before its time. */
void pause_ended(struct api *api, struct backend *backend);
/* One has come to wait, perhaps for the end of a pause. */
void pause_watch(struct api *api, const struct attempts *waiting);
