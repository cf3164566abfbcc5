/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as the three kinds of network place in the configuration. libcurl, which shares no code
 * with it, must find the same host and port in what is accepted as a URL, and nothing besides: so
 * no request and no key goes elsewhere than the configuration says. What else is accepted can be
 * named again, and what is called local is.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "config/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void require_part(CURLU *url, CURLUPart part, struct str want, bool ignore_case)
{
	char *text = NULL;

	require(curl_url_get(url, part, &text, 0) == (want.p ? CURLUE_OK : CURLUE_NO_PORT));
	require(!want.p ||
		(ignore_case ? str_eq_nocase(str_of(text), want) : str_eq(str_of(text), want)));
	curl_free(text);
}

static void require_absent(CURLU *url, CURLUPart part)
{
	char *text = NULL;

	require(curl_url_get(url, part, &text, 0) != CURLUE_OK);
	curl_free(text);
}

/* The port as a number, so that leading zeros are none; NULL for none. */
static struct str plain_port(struct str authority, char text[static 8])
{
	const char *bracket = authority.n ? memchr(authority.p, ']', authority.n) : NULL;
	struct str port = authority;
	uint64_t number;

	if (bracket)
		port = (struct str){bracket + 1, authority.n - (size_t)(bracket + 1 - authority.p)};
	(void)str_split(&port, ':');
	if (!port.p)
		return port;
	require(str_to_u64(port, &number) == 0 && number > 0 && number <= 65535);
	snprintf(text, 8, "%u", (unsigned)number);
	return str_of(text);
}

static struct str host_of(struct str authority)
{
	const char *bracket = authority.n ? memchr(authority.p, ']', authority.n) : NULL;

	if (bracket)
		return (struct str){authority.p, (size_t)(bracket + 1 - authority.p)};
	return str_split(&authority, ':');
}

static void judge_by_libcurl(const char *text)
{
	struct str rest = str_of(text), authority, host;
	CURLU *url = curl_url();
	char port[8], literal[INET6_ADDRSTRLEN];
	struct in6_addr ip;

	require(url && curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS) == CURLUE_OK);
	rest = (struct str){strstr(text, "://") + 3, strlen(strstr(text, "://") + 3)};
	authority = str_split(&rest, '/');
	host = host_of(authority);
	require_part(url, CURLUPART_PORT, plain_port(authority, port), false);
	/* libcurl writes addresses of version 6 its own way. */
	if (host.p[0] != '[') {
		require_part(url, CURLUPART_HOST, host, true);
	} else {
		require(host.n - 2 < sizeof(literal));
		memcpy(literal, host.p + 1, host.n - 2);
		literal[host.n - 2] = '\0';
		require(inet_pton(AF_INET6, literal, &ip) == 1);
	}
	require_absent(url, CURLUPART_USER);
	require_absent(url, CURLUPART_PASSWORD);
	require_absent(url, CURLUPART_QUERY);
	require_absent(url, CURLUPART_FRAGMENT);
	curl_url_cleanup(url);
}

/* What is added behind a base URL, and taken off again, changes nothing. */
static void parse_again(const char *text)
{
	char *with_version, *again = NULL;
	const char *wrong = NULL;

	require(asprintf(&with_version, "%s/v1/", text) >= 0);
	require(endpoint_url_parse(str_of(with_version), &again, &wrong) == 0);
	require(strcmp(again, text) == 0);
	free(with_version);
	free(again);
}

static void check_url(struct str input)
{
	const char *wrong = NULL;
	char *url = NULL;

	if (endpoint_url_parse(input, &url, &wrong) < 0) {
		require(!url && wrong && wrong[0]);
		return;
	}
	require(strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0);
	judge_by_libcurl(url);
	parse_again(url);
	free(url);
}

static void check_address(const char *text)
{
	struct str rest = str_of(text), host;
	struct in_addr v4;
	char copy[64];

	if (endpoint_address_check(text) || str_has_prefix(rest, STR_LITERAL("unix:")) ||
	    !endpoint_address_is_local(text))
		return;
	host = host_of(rest);
	if (str_eq_nocase(host, STR_LITERAL("localhost")) || host.p[0] == '[')
		return;
	require(host.n < sizeof(copy));
	snprintf(copy, sizeof(copy), "%.*s", (int)host.n, host.p);
	require(inet_pton(AF_INET, copy, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

static void check_receiver(const char *text)
{
	struct endpoint_receiver receiver;
	const char *end = text + strlen(text);

	if (endpoint_receiver_parse(text, &receiver))
		return;
	require(receiver.host.n > 0 && receiver.host.p > text);
	require(receiver.host.p + receiver.host.n <= end);
	require((receiver.port.n == 0) == (receiver.transport == ENDPOINT_UNIXGRAM));
	require(receiver.port.n == 0 || receiver.port.p + receiver.port.n == end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = {(const char *)data, size};
	char *text = malloc(size + 1);

	require(text != NULL);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	check_url(input);
	check_address(text);
	check_receiver(text);
	free(text);
	return 0;
}
