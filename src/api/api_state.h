/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct api, for api/ only. */
#pragma once

#include "api/api.h"
#include "api/record.h"
#include "api/request.h"
#include "api/request_log.h"

struct api {
	struct api_inputs in;
	struct table_use *use; /* the route table in force; set before the first request */
	struct timer pause;    /* see pause.h */
	struct hash_random random;
	unsigned n_renderings; /* of the metrics, being read by clients */
	struct record_series series;
	struct request_log log;
};
