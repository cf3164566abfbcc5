/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the row of routes.def that serves a request. The one place that decides it: on the method
 * and the path, never on Host or anything else. */
#pragma once

#include "api/request.h"

/* Sets request->path, ->query, ->route and ->argument. PROBLEM_NONE, or what to refuse the request
 * with: the path is unknown, of a face this listener lacks (both 404) or has other methods (405,
 * and request->route then is the path's). */
enum problem router_match(struct request *request);
/* The row with this id. */
const struct route *router_route(enum route_id id);

#define ROUTER_ALLOWED_MAX 32
/* For 405: "GET, HEAD", the methods of the route's path. */
void router_allowed(const struct route *route, char allowed[static ROUTER_ALLOWED_MAX]);
