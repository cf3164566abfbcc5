/* SPDX-License-Identifier: Apache-2.0 */
#include "api/router.h"

#include "config/config.h"

#define GET     "GET"
#define POST    "POST"
#define ANY     0
#define API     FACE_API
#define METRICS FACE_METRICS
#define NONE    ROUTE_NONE
#define MODEL   ROUTE_MODEL
#define REST    ROUTE_REST
#define SETTING ROUTE_SETTING
static const struct route routes[] = {
#define ROUTE(id, method, path, face, flags, handler, help) \
	[ROUTE_ID_##id] = {method, path, face, flags, handler},
#include "api/routes.def"
#undef ROUTE
};
#undef GET
#undef POST
#undef ANY
#undef API
#undef METRICS
#undef NONE
#undef MODEL
#undef REST
#undef SETTING

static const struct str rest_mark = STR_INIT("{id}");

const struct route *router_route(enum route_id id)
{
	return &routes[id];
}

static bool path_matches(const struct route *route, const struct request *request)
{
	struct str pattern = str_of(route->path);

	if (route->flags & ROUTE_SETTING) {
		const struct config *config = request->table->config;

		return config->metrics.enabled &&
		       str_eq(request->path, str_of(config->metrics.path));
	}
	if (!(route->flags & ROUTE_REST))
		return str_eq(request->path, pattern);
	pattern.n -= rest_mark.n;
	return request->path.n > pattern.n && str_has_prefix(request->path, pattern);
}

static bool method_matches(const struct route *route, const char *method)
{
	if (strcmp(route->method, method) == 0)
		return true;
	return strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0;
}

/* The absolute form (RFC 9112 section 3.2.2) means what its path means; whom it names is ignored,
 * as Host is. */
static struct str without_authority(struct str target)
{
	static const struct str schemes[] = {STR_INIT("http://"), STR_INIT("https://")};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		struct str rest = {target.p, schemes[i].n};

		if (target.n < rest.n || !str_eq_nocase(rest, schemes[i]))
			continue;
		rest = (struct str){target.p + rest.n, target.n - rest.n};
		/* A query may follow at once, and a slash in it begins no path. */
		while (rest.n && rest.p[0] != '/' && rest.p[0] != '?') {
			rest.p++;
			rest.n--;
		}
		return rest;
	}
	return target;
}

static void split_target(struct request *request)
{
	struct str rest = without_authority(str_of(request->exchange->target));

	request->path = str_split(&rest, '?');
	request->query = rest.p ? rest : (struct str){0};
}

enum problem router_match(struct request *request)
{
	const struct exchange *exchange = request->exchange;

	split_target(request);
	for (size_t i = 0; i < N_ROUTES; i++) {
		const struct route *route = &routes[i];

		if (!path_matches(route, request))
			continue;
		if (route->face && !(route->face & exchange->faces))
			return PROBLEM_NOT_FOUND;
		request->route = route;
		return method_matches(route, exchange->method) ? N_PROBLEMS
							       : PROBLEM_METHOD_NOT_ALLOWED;
	}
	return PROBLEM_NOT_FOUND;
}

const char *router_allowed(const struct route *route)
{
	return strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method;
}
