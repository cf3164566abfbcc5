/* SPDX-License-Identifier: Apache-2.0 */
/* What a request is called in logs and answers: by its client's X-Request-Id, else by a UUIDv7. */
#pragma once

#include "base/hash.h"
#include "base/str.h"

#define REQUEST_ID_MAX 64

/* `wanted` when it is short and printable, else an id of our own; always ends in NUL. */
void request_id_choose(char id[static REQUEST_ID_MAX + 1], struct str wanted,
		       struct hash_random *random);
