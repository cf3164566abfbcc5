/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the row of routes.def that serves a request. The one place that decides it: on the method
 * and the path, never on Host or anything else. */
#pragma once

#include "api/request.h"

/* Sets request->path, ->query and ->route. N_PROBLEMS, or what to refuse the request with: the
 * path is unknown, of a face this listener lacks (both 404) or has other methods (405, and
 * request->route then is the path's). */
enum problem router_match(struct request *request);
/* The row with this id. */
const struct route *router_route(enum route_id id);
/* For 405: "GET, HEAD". */
const char *router_allowed(const struct route *route);
