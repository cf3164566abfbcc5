/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain a request for a model passes: its body is read, the steps judge it, it is relayed.
 * chain_start(), a handler of routes.def, begins with the body. Worker-local. Internal to api/ and
 * to steps.
 */
#pragma once

#include "base/attr.h"

struct request;
struct waiter;

/* Begins with the steps: request->wanted is filled, the body perhaps still under way. */
void chain_begin(struct request *request);
/* For a step that answers WAIT: the waiter whose waiter_wake() lets it run again; owned by the
 * request. NULL for no memory. */
struct waiter *chain_wait(struct request *request) MUST_CHECK;
