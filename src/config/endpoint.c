/* SPDX-License-Identifier: Apache-2.0 */
#include "config/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "base/i18n.h"

enum { HOST_MAX_BYTES = 253, PORT_MAX = 65535 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alphanumeric(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* inet_pton() wants a NUL at the end. */
static bool parse_ip(int family, struct str text, void *ret_ip)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	return inet_pton(family, copy, ret_ip) == 1;
}

/* Whoever resolves it takes a host whose last label is a number for an address, and 0x7f000001 or
 * 127.1 for 127.0.0.1. */
static bool ends_in_number(struct str host)
{
	size_t end = host.n > 0 && host.p[host.n - 1] == '.' ? host.n - 1 : host.n, begin = end;
	const char *digits = "0123456789";

	while (begin > 0 && host.p[begin - 1] != '.')
		begin--;
	if (end - begin > 1 && host.p[begin] == '0' && (host.p[begin + 1] | 0x20) == 'x') {
		digits = "0123456789abcdefABCDEF";
		begin += 2;
	}
	while (begin < end && strchr(digits, host.p[begin]))
		begin++;
	return begin == end;
}

/* A name or an IPv4 address. The underscore is in no host name by the book, but in many of
 * container networks. */
static bool is_host(struct str host)
{
	struct in_addr ip;

	if (host.n == 0 || host.n > HOST_MAX_BYTES || !is_alphanumeric(host.p[0]))
		return false;
	for (size_t i = 0; i < host.n; i++)
		if (!is_alphanumeric(host.p[i]) && !memchr("-._", host.p[i], 3))
			return false;
	return !ends_in_number(host) || parse_ip(AF_INET, host, &ip);
}

/*
 * Cuts "host", "host:port", "[v6]" or "[v6]:port"; the port is left as text, p NULL without a
 * colon. False when the brackets do not match.
 */
static bool split_authority(struct str authority, struct str *ret_host, struct str *ret_port)
{
	const char *bracket;

	if (authority.n == 0 || authority.p[0] != '[') {
		*ret_port = authority;
		*ret_host = str_split(ret_port, ':');
		return true;
	}
	bracket = memchr(authority.p, ']', authority.n);
	if (!bracket)
		return false;
	*ret_host = (struct str){authority.p, (size_t)(bracket + 1 - authority.p)};
	*ret_port = (struct str){bracket + 1, authority.n - ret_host->n};
	if (ret_port->n == 0) {
		*ret_port = (struct str){NULL, 0};
		return true;
	}
	if (ret_port->p[0] != ':')
		return false;
	ret_port->p++;
	ret_port->n--;
	return true;
}

static bool is_host_or_v6(struct str host)
{
	struct in6_addr ip;

	if (host.n < 2 || host.p[0] != '[')
		return is_host(host);
	return parse_ip(AF_INET6, (struct str){host.p + 1, host.n - 2}, &ip);
}

static bool is_port(struct str text, uint64_t lowest)
{
	uint64_t port;

	return str_to_u64(text, &port) == 0 && port >= lowest && port <= PORT_MAX;
}

/* The scheme's literal, and the rest behind "://"; NULL for any other scheme. */
static const char *take_scheme(struct str *url)
{
	static const char *const schemes[] = {"http://", "https://"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t n = strlen(schemes[i]);

		if (url->n < n || !str_eq_nocase((struct str){url->p, n}, str_of(schemes[i])))
			continue;
		*url = (struct str){url->p + n, url->n - n};
		return schemes[i];
	}
	return NULL;
}

static const char *authority_check(struct str authority)
{
	struct str host, port;

	if (memchr(authority.p, '@', authority.n))
		return N_("holds a user name or password; name a file with credential instead");
	if (!split_authority(authority, &host, &port) || !is_host_or_v6(host))
		return N_("has no valid host; write one such as http://gpu-1:8000");
	if (port.p && !is_port(port, 1))
		return N_("has no valid port; choose one from 1 to 65535");
	return NULL;
}

/* RFC 3986 section 3.3, plus the query and fragment that a base URL cannot have. */
static const char *path_check(struct str path)
{
	static const char marks[] = "/-._~!$&'()*+,;=:@%";

	for (size_t i = 0; i < path.n; i++) {
		if (path.p[i] == '?' || path.p[i] == '#')
			return N_("has a query or a fragment; remove it");
		if (!is_alphanumeric(path.p[i]) && !memchr(marks, path.p[i], sizeof(marks) - 1))
			return N_("has a character that no URL has; write it as %XX");
	}
	return NULL;
}

static struct str without_slashes(struct str path)
{
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	return path;
}

/* nexusd adds /v1/… itself, so people may paste a base URL in either form. */
static struct str without_version(struct str path)
{
	const struct str version = STR_LITERAL("/v1");

	path = without_slashes(path);
	if (path.n < version.n ||
	    !str_eq((struct str){path.p + path.n - version.n, version.n}, version))
		return path;
	path.n -= version.n;
	return without_slashes(path);
}

static size_t authority_length(struct str rest)
{
	size_t n = 0;

	while (n < rest.n && !memchr("/?#", rest.p[n], 3))
		n++;
	return n;
}

int endpoint_url_parse(struct str url, char **ret_url, const char **ret_wrong)
{
	const char *wrong, *scheme = take_scheme(&url);
	struct str authority, path;
	char *copy;

	if (!scheme) {
		*ret_wrong = N_("is no http or https URL; write one such as http://127.0.0.1:8000");
		return -EINVAL;
	}
	authority = (struct str){url.p, authority_length(url)};
	path = (struct str){url.p + authority.n, url.n - authority.n};
	wrong = authority_check(authority);
	if (!wrong)
		wrong = path_check(path);
	if (wrong) {
		*ret_wrong = wrong;
		return -EINVAL;
	}
	path = without_version(path);
	if (asprintf(&copy, "%s%.*s%.*s", scheme, (int)authority.n, authority.p, (int)path.n,
		     path.p) < 0)
		return -ENOMEM;
	*ret_url = copy;
	return 0;
}

bool endpoint_url_host_name(const char *url, struct str *ret_host)
{
	struct str rest = str_of(url), host, port;
	struct in_addr ip;

	if (!take_scheme(&rest) ||
	    !split_authority((struct str){rest.p, authority_length(rest)}, &host, &port) ||
	    host.n == 0 || host.p[0] == '[' || parse_ip(AF_INET, host, &ip))
		return false;
	*ret_host = host;
	return true;
}

static bool is_unix(struct str address)
{
	return str_has_prefix(address, STR_LITERAL("unix:"));
}

static const char *unix_check(const char *path)
{
	if (path[0] != '/')
		return N_("has no absolute path; write one such as unix:/run/nexusd/api.sock");
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return N_("has a path that is too long; a unix socket's has at most 107 bytes");
	return NULL;
}

const char *endpoint_address_check(const char *address)
{
	struct str host, port;

	if (is_unix(str_of(address)))
		return unix_check(address + strlen("unix:"));
	if (!split_authority(str_of(address), &host, &port) || !is_host_or_v6(host))
		return N_("has no valid host; write 127.0.0.1:8000, [::1]:8000 or unix:/path");
	if (!port.p)
		return N_("has no port; write 127.0.0.1:8000, [::1]:8000 or unix:/path");
	if (!is_port(port, 0))
		return N_("has no valid port; choose one from 0 to 65535, and [ ] around IPv6");
	return NULL;
}

bool endpoint_address_is_local(const char *address)
{
	struct str host, port;
	struct in6_addr v6;
	struct in_addr v4;

	if (is_unix(str_of(address)))
		return true;
	if (!split_authority(str_of(address), &host, &port))
		return false;
	if (host.n > 2 && parse_ip(AF_INET6, (struct str){host.p + 1, host.n - 2}, &v6))
		return IN6_IS_ADDR_LOOPBACK(&v6);
	if (parse_ip(AF_INET, host, &v4))
		return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
	return str_eq_nocase(host, STR_LITERAL("localhost"));
}

bool endpoint_address_is_ephemeral(const char *address)
{
	struct str host, port;
	uint64_t number;

	return !is_unix(str_of(address)) && split_authority(str_of(address), &host, &port) &&
	       str_to_u64(port, &number) == 0 && number == 0;
}

/* RFC 6454 section 6.1. Apps and extensions have schemes of their own. */
bool endpoint_is_origin(struct str origin)
{
	struct str rest = origin, scheme = str_split(&rest, ':'), host, port;

	for (size_t i = 0; i < origin.n; i++)
		if (origin.p[i] >= 'A' && origin.p[i] <= 'Z')
			return false;
	for (size_t i = 0; i < scheme.n; i++)
		if (!is_alphanumeric(scheme.p[i]) && !memchr("+-.", scheme.p[i], 3))
			return false;
	if (scheme.n == 0 || !rest.p || !str_has_prefix(rest, STR_LITERAL("//")))
		return false;
	rest = (struct str){rest.p + 2, rest.n - 2};
	return split_authority(rest, &host, &port) && is_host_or_v6(host) &&
	       (!port.p || is_port(port, 1));
}

static const char *path_of_receiver(struct str path, struct endpoint_receiver *ret_receiver)
{
	if (path.n == 0 || path.p[0] != '/')
		return N_("has no absolute path; write udp://127.0.0.1:8125, tcp://host:port or "
			  "unixgram:///path");
	if (path.n >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return N_("has a path that is too long; a unix socket's has at most 107 bytes");
	ret_receiver->host = path;
	ret_receiver->port = (struct str){NULL, 0};
	return NULL;
}

static const char *host_of_receiver(struct str authority, struct endpoint_receiver *ret_receiver)
{
	struct str host, port;

	if (!split_authority(authority, &host, &port) || !is_host_or_v6(host))
		return N_("has no valid host; write udp://127.0.0.1:8125, tcp://host:port or "
			  "unixgram:///path");
	if (!is_port(port, 1))
		return N_("has no valid port; write udp://127.0.0.1:8125, tcp://host:port or "
			  "unixgram:///path");
	if (host.p[0] == '[')
		host = (struct str){host.p + 1, host.n - 2};
	ret_receiver->host = host;
	ret_receiver->port = port;
	return NULL;
}

const char *endpoint_receiver_parse(const char *address, struct endpoint_receiver *ret_receiver)
{
	static const char *const schemes[] = {
#define X(id, scheme) [ENDPOINT_##id] = (scheme),
		ENDPOINT_TRANSPORTS(X)
#undef X
	};
	struct str rest = {address, strlen(address)};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		struct str scheme = str_of(schemes[i]);

		if (!str_has_prefix(rest, scheme))
			continue;
		rest = (struct str){rest.p + scheme.n, rest.n - scheme.n};
		ret_receiver->transport = (enum endpoint_transport)i;
		return i == ENDPOINT_UNIXGRAM ? path_of_receiver(rest, ret_receiver)
					      : host_of_receiver(rest, ret_receiver);
	}
	return N_("has no known transport; write udp://127.0.0.1:8125, tcp://host:port or "
		  "unixgram:///path");
}
