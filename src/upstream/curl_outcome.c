/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/curl_outcome.h"

#include <stddef.h>

#include "base/attr.h"

/* What is not listed is a connection lost on the way: RESET, or TRUNCATED behind the head. */
static const struct {
	CURLcode result;
	enum outcome outcome;
} outcomes[] = {
	{CURLE_OK, OUTCOME_OK},
	{CURLE_OPERATION_TIMEDOUT, OUTCOME_TIMEOUT},
	{CURLE_COULDNT_RESOLVE_HOST, OUTCOME_DNS},
	{CURLE_COULDNT_CONNECT, OUTCOME_CONNECT},
	{CURLE_URL_MALFORMAT, OUTCOME_CONNECT},
	{CURLE_INTERFACE_FAILED, OUTCOME_CONNECT},
	{CURLE_SSL_CONNECT_ERROR, OUTCOME_TLS},
	{CURLE_PEER_FAILED_VERIFICATION, OUTCOME_TLS},
	{CURLE_SSL_CERTPROBLEM, OUTCOME_TLS},
	{CURLE_SSL_CIPHER, OUTCOME_TLS},
	{CURLE_SSL_CACERT_BADFILE, OUTCOME_TLS},
	{CURLE_SSL_CRL_BADFILE, OUTCOME_TLS},
	{CURLE_SSL_ISSUER_ERROR, OUTCOME_TLS},
	{CURLE_SSL_INVALIDCERTSTATUS, OUTCOME_TLS},
	{CURLE_SSL_ENGINE_INITFAILED, OUTCOME_TLS},
	{CURLE_SSL_ENGINE_NOTFOUND, OUTCOME_TLS},
	{CURLE_SSL_ENGINE_SETFAILED, OUTCOME_TLS},
	/* HTTP/0.9, or bytes that are no HTTP at all */
	{CURLE_UNSUPPORTED_PROTOCOL, OUTCOME_PARSE},
	{CURLE_WEIRD_SERVER_REPLY, OUTCOME_PARSE},
	{CURLE_BAD_CONTENT_ENCODING, OUTCOME_PARSE},
};

enum outcome curl_outcome(CURLcode result, bool has_head)
{
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
		if (outcomes[i].result == result)
			return outcomes[i].outcome;
	return has_head ? OUTCOME_TRUNCATED : OUTCOME_RESET;
}
