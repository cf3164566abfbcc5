/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route_hints.h"

/* A header that is true, false or not there. A word that is neither would be taken for the opposite
 * of what was meant, some day. */
static bool read_switch(struct request *request, const char *name, bool *ret_is_on)
{
	struct str value = exchange_header(request->exchange, name);

	*ret_is_on = str_eq_nocase(value, STR_LITERAL("true"));
	if (!value.p || *ret_is_on || str_eq_nocase(value, STR_LITERAL("false")))
		return true;
	request_problem(request, PROBLEM_INVALID_FIELD, "The header must be true or false.", name,
			NULL);
	return false;
}

bool route_hints_read(struct request *request, struct route_hints *ret_hints)
{
	bool strict, flexible;

	if (!read_switch(request, "X-Nexus-Strict", &strict) ||
	    !read_switch(request, "X-Nexus-Flexible", &flexible))
		return false;
	*ret_hints = (struct route_hints){TIER_AS_DEMANDED};
	if (strict)
		ret_hints->tier_wish = TIER_STRICT;
	else if (flexible)
		ret_hints->tier_wish = TIER_FLEXIBLE;
	return true;
}
