/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends that are left alone for a time, held by a 429 or while their circuits are open: whoever
 * waits for one is told when that is over, or at once when it lasts too long. By the worker whose
 * attempt began the pause; api->pause is for the one that ends first.
 */
#pragma once

#include "loop/loop.h"

struct api;
struct backend;

void pause_init(struct timer *pause);
/* An attempt there has ended, perhaps so that it is left alone now. */
void pause_heed(struct api *api, struct backend *backend);
