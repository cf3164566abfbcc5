/* SPDX-License-Identifier: Apache-2.0 */
#include "api/router.h"

#include <stdio.h>

#include "config/config.h"

#define NONE    0
#define MODEL   ROUTE_MODEL
#define USAGE   ROUTE_USAGE
#define PASSED  ROUTE_PASSED
#define FORM    ROUTE_FORM
#define PATTERN ROUTE_PATTERN
#define SETTING ROUTE_SETTING
#define WATCH   ROUTE_WATCH
static const struct route routes[] = {
#define ROUTE(id, method, path, face, flags, handler, help) \
	[ROUTE_ID_##id] = {#method, path, FACE_##face, flags, handler},
#include "api/routes.def"
#undef ROUTE
};
#undef NONE
#undef MODEL
#undef PASSED
#undef FORM
#undef PATTERN
#undef SETTING
#undef WATCH

const struct route *router_route(enum route_id id)
{
	return &routes[id];
}

/* Begins and ends with what stands around the braces, and has something between. */
static bool pattern_matches(struct str pattern, struct str path, struct str *ret_argument)
{
	struct str end = pattern, begin = str_split(&end, '{');

	(void)str_split(&end, '}');
	if (path.n <= begin.n + end.n || !str_has_prefix(path, begin) ||
	    !str_eq((struct str){path.p + path.n - end.n, end.n}, end))
		return false;
	*ret_argument = (struct str){path.p + begin.n, path.n - begin.n - end.n};
	return true;
}

static bool path_matches(const struct route *route, struct request *request)
{
	struct str pattern = str_of(route->path);

	if (route->flags & ROUTE_SETTING) {
		const struct config *config = request->table->config;

		return config->metrics.enabled &&
		       str_eq(request->path, str_of(config->metrics.path));
	}
	if (route->flags & ROUTE_PATTERN)
		return pattern_matches(pattern, request->path, &request->argument);
	return str_eq(request->path, pattern);
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
		if (method_matches(route, exchange->method))
			return PROBLEM_NONE;
	}
	return request->route ? PROBLEM_METHOD_NOT_ALLOWED : PROBLEM_NOT_FOUND;
}

static bool has_same_path(const struct route *a, const struct route *b)
{
	return strcmp(a->path, b->path) == 0;
}

void router_allowed(const struct route *route, char allowed[static ROUTER_ALLOWED_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < N_ROUTES; i++) {
		bool is_get = strcmp(routes[i].method, "GET") == 0;

		if (has_same_path(&routes[i], route))
			n += (size_t)snprintf(allowed + n, ROUTER_ALLOWED_MAX - n, "%s%s%s",
					      n ? ", " : "", routes[i].method,
					      is_get ? ", HEAD" : "");
	}
}
