/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>

#include "tests/tap.h"

#define S(text) STR_LITERAL(text)

static struct loop *loop;
static struct resolver_answer kept;
static int n_answers;

static void answered(void *context, const struct resolver_answer *answer)
{
	kept = *answer;
	n_answers++;
	*(struct resolver_query **)context = NULL;
	loop_stop(loop);
}

static void test_numeric(void)
{
	struct resolver_answer answer;
	const struct sockaddr_in *v4 =
		(const struct sockaddr_in *)(const void *)&answer.addresses[0].socket;

	ok(resolver_numeric(S("127.0.0.2"), S("8125"), &answer), "IPv4");
	is_u64(answer.n, 1, "one address");
	ok(v4->sin_family == AF_INET && ntohl(v4->sin_addr.s_addr) == 0x7F000002 &&
		   ntohs(v4->sin_port) == 8125,
	   "which is the one that was written");
	ok(resolver_numeric(S("::1"), S("1"), &answer) &&
		   answer.addresses[0].socket.ss_family == AF_INET6,
	   "IPv6");
	ok(!resolver_numeric(S("localhost"), S("1"), &answer), "a name is none");
	ok(!resolver_numeric((struct str){"x", 0}, S("123456789"), &answer), "nor is nonsense");
}

static void test_names(struct resolver *resolver)
{
	static char long_name[RESOLVER_HOST_BYTES + 1];
	struct resolver_query *query = NULL;

	ok(resolver_ask(resolver, S("localhost"), S("8125"), answered, &query, &query) == 0 &&
		   query,
	   "a question");
	loop_run(loop);
	ok(kept.error == 0 && kept.n > 0 && !query, "has an answer");
	is_int(resolver_ask(resolver, S("name.invalid"), S("1"), answered, &query, &query), 0,
	       "another one");
	loop_run(loop);
	ok(kept.error != 0 && gai_strerror(kept.error), "has none, but for why");
	memset(long_name, 'a', sizeof(long_name));
	is_int(resolver_ask(resolver, (struct str){long_name, sizeof(long_name)}, S("1"), answered,
			    &query, &query),
	       -EINVAL, "a name that cannot be");
}

static void test_cancel(struct resolver *resolver)
{
	struct resolver_query *one = NULL, *other = NULL, *last = NULL;
	int before = n_answers;

	if (resolver_ask(resolver, S("localhost"), S("1"), answered, &one, &one) < 0 ||
	    resolver_ask(resolver, S("localhost"), S("2"), answered, &other, &other) < 0 ||
	    resolver_ask(resolver, S("localhost"), S("3"), answered, &last, &last) < 0)
		return;
	one = resolver_cancel(one);
	other = resolver_cancel(other);
	ok(!one && !other && !resolver_cancel(NULL), "two are cancelled");
	loop_run(loop);
	ok(n_answers == before + 1 && !last, "only the third is answered");
}

static void test_ceiling(struct resolver *resolver)
{
	struct resolver_query *queries[RESOLVER_MAX_WAITING + 2] = {0};
	int r = 0, before = n_answers;

	/* The thread may take one or two meanwhile, but is not that fast for ever. */
	for (int round = 0; round < 1000 && r == 0; round++)
		for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]) && r == 0; i++)
			r = resolver_ask(resolver, S("localhost"), S("4"), answered, &queries[0],
					 &queries[i]);
	is_int(r, -EAGAIN, "so many may wait and no more");
	resolver_free(resolver);
	is_int(n_answers, before, "and nothing is answered when it is gone");
}

int main(void)
{
	struct resolver *resolver;

	loop = loop_new();
	if (!loop)
		return 1;
	test_numeric();
	resolver = resolver_new(loop);
	if (!ok(resolver != NULL, "a resolver"))
		return 1;
	test_names(resolver);
	test_cancel(resolver);
	test_ceiling(resolver);
	loop_free(loop);
	return tap_done();
}
