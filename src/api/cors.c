/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cors.h"

#include "api/router.h"

/* How long a browser may go by an answer: not much longer than a reload may be old. */
#define MAX_AGE_SECONDS "600"
/* More of them than a browser ever asks for; the answer shares its room with the request. */
#define HEADERS_MAX_BYTES 1024

/* What the request is allowed as: its origin, "*", or NULL when it is not allowed. */
static const char *allowed_origin(const struct request *request)
{
	const struct config *config = request->table->config;
	struct str origin = exchange_header(request->exchange, "Origin");

	for (size_t i = 0; origin.n && i < config->n_cors_origins; i++) {
		const char *allowed = config->cors_origins[i];

		if (strcmp(allowed, "*") == 0 || str_eq(str_of(allowed), origin))
			return allowed;
	}
	return NULL;
}

void cors_add_headers(struct request *request)
{
	struct exchange *exchange = request->exchange;
	const char *origin;

	if (request->table->config->n_cors_origins == 0)
		return;
	/* Also without an origin: a cache must not give that answer to who has one. */
	(void)!exchange_add_header(exchange, "Vary", "Origin");
	origin = allowed_origin(request);
	if (!origin)
		return;
	(void)!exchange_add_header(exchange, "Access-Control-Allow-Origin", origin);
	(void)!exchange_add_header(exchange, "Access-Control-Expose-Headers", "*");
}

bool cors_answers(struct request *request)
{
	struct exchange *exchange = request->exchange;
	struct str headers = exchange_header(exchange, "Access-Control-Request-Headers");
	char allowed[ROUTER_ALLOWED_MAX];

	if (strcmp(exchange->method, "OPTIONS") != 0 ||
	    !exchange_header(exchange, "Access-Control-Request-Method").n ||
	    !allowed_origin(request))
		return false;
	request->status = 204;
	(void)!exchange_reply_full(exchange, 204, NULL, 0);
	request_common_headers(request);
	router_allowed(request->route, allowed);
	(void)!exchange_add_header(exchange, "Access-Control-Allow-Methods", allowed);
	/* Named one by one: an asterisk would leave out Authorization. */
	if (headers.n && headers.n <= HEADERS_MAX_BYTES)
		(void)!exchange_add_header(exchange, "Access-Control-Allow-Headers", headers.p);
	(void)!exchange_add_header(exchange, "Access-Control-Max-Age", MAX_AGE_SECONDS);
	exchange_send(exchange);
	return true;
}
