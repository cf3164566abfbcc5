/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Web pages of other origins, which a browser lets read an answer only if it says so (the CORS
 * protocol of the Fetch standard). Internal to api/.
 */
#pragma once

#include "api/request.h"

/* Adds to a reply what lets pages of cors_origins read it. */
void cors_add_headers(struct request *request);
/* Replies when a browser asks whether a page of cors_origins may send a request; false when it asks
 * something else. The request has a route, though not with this method. */
bool cors_answers(struct request *request);
