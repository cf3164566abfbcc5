/* SPDX-License-Identifier: Apache-2.0 */
/* How one attempt at one backend ended. Shared vocabulary: upstream/ finds it, route/ decides on
 * it, metrics and errors name it. */
#pragma once

#define OUTCOMES(X)                       \
	X(OUTCOME_OK, "ok")               \
	X(OUTCOME_HTTP_4XX, "http_4xx")   \
	X(OUTCOME_HTTP_429, "http_429")   \
	X(OUTCOME_HTTP_5XX, "http_5xx")   \
	X(OUTCOME_TIMEOUT, "timeout")     \
	X(OUTCOME_CONNECT, "connect")     \
	X(OUTCOME_TLS, "tls")             \
	X(OUTCOME_DNS, "dns")             \
	X(OUTCOME_RESET, "reset")         \
	X(OUTCOME_TRUNCATED, "truncated") \
	X(OUTCOME_PARSE, "parse")         \
	X(OUTCOME_CANCELLED, "cancelled")

enum outcome {
#define X(id, name) id,
	OUTCOMES(X)
#undef X
};

static inline const char *outcome_name(enum outcome outcome)
{
	static const char *const names[] = {
#define X(id, name) name,
		OUTCOMES(X)
#undef X
	};

	return names[outcome];
}
