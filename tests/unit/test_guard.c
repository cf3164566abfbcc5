/* SPDX-License-Identifier: Apache-2.0 */
#include "http/guard.h"

#include "tap.h"

#define MAX_HEADERS 8

/* Heads as the server library would hand them over: `head` is what came, `cut` how it was cut. */
struct guard_case {
	const char *what;
	const char *method, *target, *version;
	const char *headers[MAX_HEADERS][2];
	enum guard_verdict want;
};

static const struct guard_case cases[] = {
	{"a plain GET", "GET", "/", "HTTP/1.1", {{"Host", "x"}}, GUARD_PASS},
	{"a POST with a length",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Content-Length", "3"}},
	 GUARD_PASS},
	{"a chunked POST",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Transfer-Encoding", "chunked"}},
	 GUARD_PASS},
	{"CHUNKED in capitals",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Transfer-Encoding", "CHUNKED"}},
	 GUARD_PASS},
	{"HTTP/1.0 without Host", "GET", "/", "HTTP/1.0", {{"A", "b"}}, GUARD_PASS},
	{"an empty value", "GET", "/", "HTTP/1.1", {{"Host", "x"}, {"A", ""}}, GUARD_PASS},
	{"a tab and UTF-8 in a value",
	 "GET",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"A", "a\tb \xc3\xa4"}},
	 GUARD_PASS},
	{"no Host", "GET", "/", "HTTP/1.1", {{"A", "b"}}, GUARD_BAD_FRAMING},
	{"two Hosts", "GET", "/", "HTTP/1.1", {{"Host", "x"}, {"host", "x"}}, GUARD_BAD_FRAMING},
	{"length and chunked",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Content-Length", "3"}, {"Transfer-Encoding", "chunked"}},
	 GUARD_BAD_FRAMING},
	{"two equal lengths",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Content-Length", "3"}, {"Content-Length", "3"}},
	 GUARD_BAD_FRAMING},
	{"a length that is a list",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Content-Length", "3, 3"}},
	 GUARD_BAD_FRAMING},
	{"a signed length",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Content-Length", "+3"}},
	 GUARD_BAD_FRAMING},
	{"a length of 2^64-1",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Content-Length", "18446744073709551615"}},
	 GUARD_BAD_FRAMING},
	{"a length of 2^64",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Content-Length", "18446744073709551616"}},
	 GUARD_BAD_FRAMING},
	{"an empty length",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Content-Length", ""}},
	 GUARD_BAD_FRAMING},
	{"another coding",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Transfer-Encoding", "gzip"}},
	 GUARD_UNSUPPORTED_CODING},
	{"a list of codings",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Transfer-Encoding", "gzip, chunked"}},
	 GUARD_UNSUPPORTED_CODING},
	{"two codings",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "identity"}},
	 GUARD_BAD_FRAMING},
	{"chunked on 1.0",
	 "POST",
	 "/",
	 "HTTP/1.0",
	 {{"Host", "x"}, {"Transfer-Encoding", "chunked"}},
	 GUARD_BAD_FRAMING},
	{"a blank in a name",
	 "POST",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"Transfer-Encoding ", "chunked"}},
	 GUARD_BAD_FRAMING},
	{"an empty name", "GET", "/", "HTTP/1.1", {{"Host", "x"}, {"", "x"}}, GUARD_BAD_FRAMING},
	{"a control byte in a value",
	 "GET",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"A", "a\001b"}},
	 GUARD_BAD_FRAMING},
	{"DEL in a value",
	 "GET",
	 "/",
	 "HTTP/1.1",
	 {{"Host", "x"}, {"A", "a\177b"}},
	 GUARD_BAD_FRAMING},
	{"%00 in the target", "GET", "/a%00b", "HTTP/1.1", {{"Host", "x"}}, GUARD_BAD_FRAMING},
	{"%0 at the end of the target", "GET", "/a%0", "HTTP/1.1", {{"Host", "x"}}, GUARD_PASS},
	{"a blank in the target", "GET", "/a b", "HTTP/1.1", {{"Host", "x"}}, GUARD_BAD_FRAMING},
	{"an empty target", "GET", "", "HTTP/1.1", {{"Host", "x"}}, GUARD_BAD_FRAMING},
	{"a method that is no token", "GE(T", "/", "HTTP/1.1", {{"Host", "x"}}, GUARD_BAD_FRAMING},
	{"HTTP/1.2", "GET", "/", "HTTP/1.2", {{"Host", "x"}}, GUARD_BAD_FRAMING},
};

/* How a head is written down: between the parts of its line, and between names and values. */
struct spelling {
	const char *after_method, *after_target, *after_name;
};

static const struct spelling usual = {" ", " ", ": "};

/* Writes the head with NULs for line ends, as libmicrohttpd leaves it, feeds the guard slices of it
 * and returns its verdict. `hidden` is added to the
 * size that the library reports. */
static enum guard_verdict judge(const struct guard_case *c, size_t hidden,
				const struct spelling *spelling)
{
	char head[1024] = {0};
	struct guard guard;
	size_t at_target = strlen(c->method) + strlen(spelling->after_method);
	size_t at_version = at_target + strlen(c->target) + strlen(spelling->after_target);
	size_t n = (size_t)snprintf(head, sizeof(head), "%s%s%s%s%s", c->method,
				    spelling->after_method, c->target, spelling->after_target,
				    c->version) +
		   2;

	guard_begin(&guard, &(struct guard_line){
				    .method = {head, strlen(c->method)},
				    .version = {head + at_version, strlen(c->version)},
				    .target = str_of(c->target),
				    .target_at = head + at_target,
			    });
	for (size_t i = 0; i < MAX_HEADERS && c->headers[i][0]; i++) {
		struct str name = {head + n, strlen(c->headers[i][0])};
		struct str value = {name.p + name.n + strlen(spelling->after_name),
				    strlen(c->headers[i][1])};

		n += (size_t)snprintf(head + n, sizeof(head) - n, "%s%s%s", c->headers[i][0],
				      spelling->after_name, c->headers[i][1]) +
		     2;
		guard_header(&guard, name, value);
	}
	return guard_end(&guard, n + 2 + hidden);
}

int main(void)
{
	static const struct spelling tight = {" ", " ", ":"}, wide = {"  ", " ", ": "};
	static const struct spelling wide_too = {" ", "  ", ": "};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		is_int(judge(&cases[i], 0, &usual), cases[i].want, "%s", cases[i].what);
		is_int(judge(&cases[i], 0, &tight), cases[i].want, "%s, no blank after colons",
		       cases[i].what);
	}
	for (size_t hidden = 1; hidden < 40; hidden++)
		is_int(judge(&cases[0], hidden, &usual), GUARD_BAD_FRAMING,
		       "%zu bytes of the head are not accounted for", hidden);
	/* One blank too many, and one byte too few elsewhere: the sum alone would be right. */
	is_int(judge(&cases[0], (size_t)-1, &wide), GUARD_BAD_FRAMING, "two blanks, one hidden");
	is_int(judge(&cases[0], (size_t)-1, &wide_too), GUARD_BAD_FRAMING, "and before HTTP");
	return tap_done();
}
