/* SPDX-License-Identifier: Apache-2.0 */
#include "api/forward.h"

/* Short on purpose: libcurl spends a hundred instructions on each byte of a header. */
static const char *const to_backend[] = {
	"traceparent", "tracestate", "OpenAI-Beta", "OpenAI-Organization", "OpenAI-Project",
};

static const struct str to_client[] = {
	STR_INIT("Content-Type"),
	STR_INIT("Content-Encoding"),
	STR_INIT("Content-Language"),
	STR_INIT("Retry-After"),
};

static const struct str to_client_prefixes[] = {
	STR_INIT("x-ratelimit-"),
	STR_INIT("openai-"),
};

_Static_assert(ARRAY_SIZE(to_backend) + 2 <= FORWARD_HEADERS_MAX,
	       "room for the list, X-Request-Id and Authorization");

static size_t add(struct header *headers, size_t n, const char *name, struct str value)
{
	if (!value.p)
		return n;
	headers[n] = (struct header){str_of(name), value};
	return n + 1;
}

size_t forward_request_headers(const struct request *request, const struct backend_config *backend,
			       struct header *headers)
{
	const struct exchange *exchange = request->exchange;
	size_t n = add(headers, 0, "X-Request-Id", str_of(request->id));

	for (size_t i = 0; i < ARRAY_SIZE(to_backend); i++)
		n = add(headers, n, to_backend[i], exchange_header(exchange, to_backend[i]));
	if (backend->forward_authorization)
		n = add(headers, n, "Authorization", exchange_header(exchange, "Authorization"));
	return n;
}

bool forward_allows_answer(struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(to_client); i++)
		if (str_eq_nocase(name, to_client[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(to_client_prefixes); i++) {
		struct str prefix = to_client_prefixes[i];

		if (name.n > prefix.n && str_eq_nocase((struct str){name.p, prefix.n}, prefix))
			return true;
	}
	return false;
}
