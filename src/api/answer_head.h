/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a backend's answer: whether it is one for the client, and of which kind.
 * Worker-local. Internal to relay.c and what it is made of.
 */
#pragma once

#include "api/verdict.h"

struct relay;
struct transfer_head;

/* That of an attempt whose answer came whole, with this status. */
enum outcome answer_head_outcome(unsigned status);
/* Keeps what is of use of the head, and tells the backend's circuit. */
struct verdict answer_head_judge(struct relay *relay, const struct transfer_head *head);
