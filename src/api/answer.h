/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend's plain answer: judged whole while it is small, handed on as it comes otherwise.
 * Worker-local. Internal to relay.c and what it is made of.
 */
#pragma once

#include "api/verdict.h"
#include "base/str.h"

/* An answer up to this size is judged whole before a byte of it is relayed. */
#define ANSWER_JUDGED_BYTES (64u * 1024)

struct relay;

/* A piece of it has come. */
struct verdict answer_data(struct relay *relay, struct str data);
/* `outcome` is that of the transfer, or of the status of an answer that came whole. */
struct verdict answer_over(struct relay *relay, enum outcome outcome);
/* Replies with what was collected. */
void answer_reply(struct relay *relay);
