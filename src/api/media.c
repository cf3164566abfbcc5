/* SPDX-License-Identifier: Apache-2.0 */
#include "api/media.h"

static struct str essence(struct str content_type)
{
	return str_trim(str_split(&content_type, ';'));
}

bool media_is_json(struct str content_type)
{
	static const struct str suffix = STR_INIT("+json");
	struct str type = essence(content_type);

	return type.n == 0 || str_eq_nocase(type, STR_LITERAL("application/json")) ||
	       (type.n > suffix.n &&
		str_eq_nocase((struct str){type.p + type.n - suffix.n, suffix.n}, suffix));
}

bool media_is_event_stream(struct str content_type)
{
	return str_eq_nocase(essence(content_type), STR_LITERAL("text/event-stream"));
}

bool media_is_form(struct str content_type)
{
	return str_eq_nocase(essence(content_type), STR_LITERAL("multipart/form-data"));
}
