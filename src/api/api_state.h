/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct api, for api/ only. */
#pragma once

#include "api/api.h"
#include "api/record.h"
#include "api/renderings.h"
#include "api/request.h"
#include "api/request_log.h"

struct api {
	struct api_inputs in;
	struct table_use *use; /* the route table in force; set before the first request */
	_Atomic(struct table_use *) offered; /* the next one; NULL once taken */
	struct table_use *spare;             /* the main thread's, for the one after that */
	struct timer pause;                  /* see pause.h */
	struct hash_random random;
	struct renderings renderings;
	struct record_series series;
	struct request_log log;
};
