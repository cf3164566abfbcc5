/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes on a connection of the real server, libmicrohttpd included. What it takes for a
 * request must be one, and the same one, to a strict parser of RFC 9112 that shares no code with
 * it: so nothing can be smuggled past the guard.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/connection.h"
#include "http/exchange.h"

#define MAX_BODY_BYTES 4096
#define MAX_REQUESTS   64

struct seen {
	char method[8192], target[8192]; /* whatever fits a connection's pool */
	bool passed;
};

static struct loop *loop;
static struct server *server;
static struct census *census;
static struct seen seen[MAX_REQUESTS];
static size_t n_seen;

/* ---- the strict parser ---- */

static bool take(struct str *s, const char *text)
{
	size_t n = strlen(text);

	if (s->n < n || memcmp(s->p, text, n) != 0)
		return false;
	*s = (struct str){s->p + n, s->n - n};
	return true;
}

static struct str take_while(struct str *s, bool (*accept)(unsigned char c))
{
	struct str taken = {s->p, 0};

	while (taken.n < s->n && accept((unsigned char)s->p[taken.n]))
		taken.n++;
	*s = (struct str){s->p + taken.n, s->n - taken.n};
	return taken;
}

static bool is_tchar(unsigned char c)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr(others, c));
}

static bool is_visible(unsigned char c)
{
	return c > 0x20 && c != 0x7f;
}

static bool is_field_byte(unsigned char c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

/*
 * What libmicrohttpd before 1.0 does before the guard can look, and nexusd(8) owns up to: it ends
 * lines at a CR or an LF alone, too, and cuts them by writing NULs over CR, LF and the colon behind
 * a name. Where the numbers come out even, a NUL or the colon of a line that begins with one can
 * therefore stand in for one half of a CRLF and leave no trace. Lines that begin with NUL are
 * empty.
 */
#define LENIENT (MHD_VERSION < 0x01000000)

static bool ends_line(char c)
{
	return c == '\r' || c == '\n';
}

static bool passes_for_half(char c)
{
	return c == '\0' || c == ':' || ends_line(c);
}

static bool take_line_end(struct str *s)
{
	if (take(s, "\r\n"))
		return true;
	if (!LENIENT || s->n < 2 || !passes_for_half(s->p[0]) || !passes_for_half(s->p[1]))
		return false;
	*s = (struct str){s->p + 2, s->n - 2};
	return true;
}

struct strict_head {
	struct str method, target;
	bool http_1_0, chunked;
	unsigned n_hosts, n_lengths, n_codings;
	size_t length;
};

static bool parse_field(struct str *s, struct strict_head *head)
{
	struct str name = take_while(s, is_tchar), value;
	uint64_t length;

	if (!name.n || !take(s, ":"))
		return false;
	value = str_trim(take_while(s, is_field_byte));
	if (!take_line_end(s))
		return false;
	if (str_eq_nocase(name, STR_LITERAL("host")))
		head->n_hosts++;
	if (str_eq_nocase(name, STR_LITERAL("transfer-encoding"))) {
		head->n_codings++;
		head->chunked = str_eq_nocase(value, STR_LITERAL("chunked"));
		return head->chunked;
	}
	if (!str_eq_nocase(name, STR_LITERAL("content-length")))
		return true;
	head->n_lengths++;
	if (str_to_u64(value, &length) < 0)
		return false;
	head->length = (size_t)length;
	return true;
}

/* A head and nothing but a head; leaves what follows it in *s. */
static bool parse_head(struct str *s, struct strict_head *head)
{
	*head = (struct strict_head){0};
	head->method = take_while(s, is_tchar);
	if (!head->method.n || !take(s, " "))
		return false;
	head->target = take_while(s, is_visible);
	if (!head->target.n || !take(s, " HTTP/1."))
		return false;
	head->http_1_0 = take(s, "0");
	if ((!head->http_1_0 && !take(s, "1")) || !take_line_end(s))
		return false;
	while (!take_line_end(s))
		if (!parse_field(s, head))
			return false;
	if (head->n_codings > 1 || head->n_lengths > 1 || (head->n_codings && head->n_lengths))
		return false;
	return head->n_hosts == 1 || (head->http_1_0 && head->n_hosts == 0);
}

/* ---- what the server makes of it ---- */

static void reply(struct exchange *exchange)
{
	if (exchange_reply_full(exchange, 200, NULL, 0) == 0)
		exchange_send(exchange);
	else
		abort();
}

static void begin(struct exchange *exchange, enum problem refusal)
{
	if (n_seen < MAX_REQUESTS) {
		struct seen *this = &seen[n_seen++];

		snprintf(this->method, sizeof(this->method), "%s", exchange->method);
		snprintf(this->target, sizeof(this->target), "%s", exchange->target);
		this->passed = refusal == PROBLEM_NONE;
	}
	if (refusal != PROBLEM_NONE) {
		exchange_close_after(exchange);
		reply(exchange);
	}
}

static void ignore(struct exchange *exchange)
{
	(void)exchange;
}

static void end(struct exchange *exchange, bool delivered)
{
	(void)exchange;
	(void)delivered;
}

static void refused(void *context, enum problem problem)
{
	(void)context;
	(void)problem;
}

static void connections(void *context, int delta)
{
	(void)context;
	if (delta < 0)
		loop_stop(loop);
}

static const struct http_ops ops = {
	.begin = begin,
	.request = reply,
	.drained = ignore,
	.gone = ignore,
	.overdue = ignore,
	.end = end,
	.refused = refused,
	.connections = connections,
};

static void start(void)
{
	struct server_options options = {
		.ops = &ops,
		.max_header_bytes = 2048,
		.idle_ns = 10 * NS_PER_SEC,
	};
	struct server_limits limits = {
		.max_body_bytes = MAX_BODY_BYTES,
		.head_ns = 10 * NS_PER_SEC,
		.body_ns = 10 * NS_PER_SEC,
	};

	options.loop = loop = loop_new();
	options.census = census = census_new();
	server = loop && census ? server_new(&options, &limits) : NULL;
	if (!server)
		abort();
	census_set_ceilings(census,
			    &(struct census_ceilings){.connections = 1, .body_bytes = 1 << 20});
}

static void send_all(int fd, const uint8_t *data, size_t size)
{
	/* The socket's buffer holds all of it: inputs are small. */
	if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size || shutdown(fd, SHUT_WR) < 0)
		abort();
}

/* Empty lines before a request are skipped by RFC 9112 section 2.2. */
static bool skip_line(struct str *s)
{
	size_t n = 0;

	if (!LENIENT)
		return take(s, "\r\n");
	while (n < s->n && !ends_line(s->p[n]))
		n++;
	if (n == s->n)
		return false;
	*s = (struct str){s->p + n + 1, s->n - n - 1};
	return true;
}

/* The head that the server has seen stands in the input: leaves what follows it in *input. */
static bool find_head(struct str *input, const struct seen *this, struct strict_head *head)
{
	for (struct str at = *input; at.n > 0;) {
		struct str rest = at;

		if (parse_head(&rest, head) && str_eq(head->method, str_of(this->method)) &&
		    str_eq(head->target, str_of(this->target))) {
			*input = rest;
			return true;
		}
		if (!skip_line(&at))
			return false;
	}
	return false;
}

static void check(struct str input)
{
	for (size_t i = 0; i < n_seen && seen[i].passed; i++) {
		struct strict_head head;

		if (!find_head(&input, &seen[i], &head))
			abort();
		/* Inside chunks libmicrohttpd 0.9.75 is lenient, which nexusd(8) says. */
		if (head.chunked || head.length > input.n)
			return;
		input = (struct str){input.p + head.length, input.n - head.length};
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct listener listener = {.fd = -1};
	struct visitor visitor = {.address.ss_family = AF_UNIX, .bytes = sizeof(sa_family_t)};
	int pair[2];

	if (!server)
		start();
	if (size == 0 || size > 16384 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	n_seen = 0;
	send_all(pair[1], data, size);
	visitor.fd = pair[0];
	visitor.place = census_enter(census, false);
	connection_open(server, &listener, &visitor);
	loop_run(loop);
	close(pair[1]);
	check((struct str){(const char *)data, size});
	return 0;
}
