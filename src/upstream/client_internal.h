/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is made of, for the transports alone. */
#pragma once

#include "upstream/client.h"
#include "upstream/http_pool.h"
#include "upstream/multi.h"

struct client {
	struct loop *loop;
	struct multi multi;
	struct http_pool pool;
	size_t n_running;        /* transfers of all transports */
	uint64_t n_demo_answers; /* numbers their ids */
};
