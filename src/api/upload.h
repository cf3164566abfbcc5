/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body that is handed on while it comes, with another name in the place of the model's. Embedded
 * in the relay, for its attempt under way; worker-local. Internal to relay.c and what it is made
 * of.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay;
struct transfer_request;

struct upload {
	uint64_t at;       /* so many bytes of the client's body are behind */
	const char *model; /* what is yet to take the place of its model; NULL: nothing */
	size_t model_at;   /* so much of that was handed on */
};

/* Has the transfer fetch the body from its start, `model` in the place of its own; NULL: as it is.
 * `model` is borrowed until the transfer is over. */
void upload_describe(struct relay *relay, const char *model, struct transfer_request *request);
/* Is the body one that is handed on while it comes, and more of it is to come? */
bool upload_arrives(const struct relay *relay);
/* Was all handed on that has come of a body of which more is to come? */
bool upload_is_starved(const struct relay *relay);
