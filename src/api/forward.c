/* SPDX-License-Identifier: Apache-2.0 */
#include "api/forward.h"

/* Short on purpose: libcurl spends a hundred instructions on each byte of a header. */
static const char *const to_backend[] = {
	"traceparent", "tracestate", "OpenAI-Beta", "OpenAI-Organization", "OpenAI-Project",
};

/* Without these nobody knows how to read the body. */
static const struct str about_body[] = {
	STR_INIT("Content-Type"),
	STR_INIT("Content-Encoding"),
};

static const struct str to_client[] = {
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
	headers[n] = (struct header){str_of(name), value};
	return n + 1;
}

static size_t add_of_client(struct header *headers, size_t n, const char *name,
			    const struct exchange *exchange)
{
	struct str value = exchange_header(exchange, name);

	return value.p && !exchange_is_hop_header(exchange, name) ? add(headers, n, name, value)
								  : n;
}

size_t forward_request_headers(const struct request *request, const struct backend_config *backend,
			       struct header *headers)
{
	const struct exchange *exchange = request->exchange;
	size_t n = add(headers, 0, "X-Request-Id", str_of(request->id));

	for (size_t i = 0; i < ARRAY_SIZE(to_backend); i++)
		n = add_of_client(headers, n, to_backend[i], exchange);
	if (backend->forward_authorization)
		n = add_of_client(headers, n, "Authorization", exchange);
	return n;
}

bool forward_is_about_body(struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(about_body); i++)
		if (str_eq_nocase(name, about_body[i]))
			return true;
	return false;
}

static bool is_listed(struct str name)
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

/* RFC 9110, section 7.6.1 */
static bool is_hop_header(const struct transfer_head *head, struct str name)
{
	for (size_t i = 0; i < head->n_headers; i++)
		if (str_eq_nocase(head->headers[i].name, STR_LITERAL("Connection")) &&
		    str_list_has(head->headers[i].value, name))
			return true;
	return false;
}

bool forward_allows_answer(const struct transfer_head *head, struct str name)
{
	return is_listed(name) && !is_hop_header(head, name);
}
