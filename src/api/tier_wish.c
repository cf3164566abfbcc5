/* SPDX-License-Identifier: Apache-2.0 */
#include "api/tier_wish.h"

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

bool tier_wish_read(struct request *request, enum tier_wish *ret_wish)
{
	bool is_strict, is_flexible;

	if (!read_switch(request, "X-Nexus-Strict", &is_strict) ||
	    !read_switch(request, "X-Nexus-Flexible", &is_flexible))
		return false;
	*ret_wish = is_strict ? TIER_STRICT : is_flexible ? TIER_FLEXIBLE : TIER_AS_DEMANDED;
	return true;
}
