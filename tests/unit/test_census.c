/* SPDX-License-Identifier: Apache-2.0 */
#include "http/census.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/tap.h"

static struct sockaddr_storage address(const char *text)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		storage.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		storage.ss_family = AF_INET6;
	else
		storage.ss_family = AF_UNIX;
	return storage;
}

static void set_ceilings(struct census *census, uint64_t connections, uint64_t per_address)
{
	census_set_ceilings(census, &(struct census_ceilings){connections, per_address, 100});
}

static void enter_many(struct census *census, int n)
{
	for (int i = 0; i < n; i++)
		(void)!census_enter(census, false);
}

static void test_places(void)
{
	struct census *census = need(census_new());

	set_ceilings(census, 2, 0);
	is_int(census_enter(census, false), CENSUS_REGULAR, "the first place");
	is_int(census_enter(census, true), CENSUS_REGULAR, "the last place");
	is_int(census_enter(census, false), CENSUS_RESERVED, "the first of the reserve");
	enter_many(census, CENSUS_RESERVE - 2);
	is_int(census_enter(census, false), CENSUS_RESERVED, "the last of the reserve");
	is_int(census_enter(census, false), CENSUS_FULL, "then there is none");
	is_int(census_enter(census, true), CENSUS_RESERVED, "but for the admin face");
	for (int i = 0; i < CENSUS_RESERVE - 1; i++)
		(void)!census_enter(census, true);
	is_int(census_enter(census, true), CENSUS_FULL, "which has an end, too");
	for (int i = 0; i < 2 * CENSUS_RESERVE + 1; i++)
		census_leave(census);
	is_int(census_enter(census, false), CENSUS_REGULAR, "who leaves makes a place");
	set_ceilings(census, 1, 0);
	is_int(census_enter(census, false), CENSUS_RESERVED, "a lower ceiling holds at once");
	census_free(census);
}

static void test_addresses(void)
{
	static const struct {
		const char *first, *second, *what;
		bool is_same;
	} pairs[] = {
		{"192.0.2.1", "192.0.2.1", "the same address", true},
		{"192.0.2.1", "192.0.2.2", "two of IPv4", false},
		{"192.0.2.1", "::ffff:192.0.2.1", "IPv4 inside IPv6", true},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.2", "two of those", false},
		{"2001:db8::1", "2001:db8::ffff:2", "one network of 64 bits", true},
		{"2001:db8::1", "2001:db8:0:1::1", "two networks", false},
		{"a unix socket", "a unix socket", "two without an address", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct sockaddr_storage first = address(pairs[i].first);
		struct sockaddr_storage second = address(pairs[i].second);
		struct census *census = need(census_new());
		struct census_origin origin, other;

		set_ceilings(census, 10, 1);
		ok(census_admit(census, &first, &origin), "%s: the first comes in", pairs[i].what);
		is_int(census_admit(census, &second, &other), !pairs[i].is_same, "%s: the second",
		       pairs[i].what);
		census_forget(census, &origin);
		if (pairs[i].is_same)
			ok(census_admit(census, &second, &other), "%s: when the first has left",
			   pairs[i].what);
		census_free(census);
	}
}

static void test_ceiling_of_an_address(void)
{
	struct sockaddr_storage client = address("192.0.2.1");
	struct census *census = need(census_new());
	struct census_origin origin, uncounted;

	set_ceilings(census, 10, 0);
	ok(census_admit(census, &client, &uncounted), "without a ceiling anybody comes in");
	is_int(uncounted.n_bytes, 0, "and is not counted");
	set_ceilings(census, 10, 3);
	for (int i = 0; i < 3; i++)
		ok(census_admit(census, &client, &origin), "connection %d", i + 1);
	ok(!census_admit(census, &client, &origin), "one too many");
	census_forget(census, &uncounted);
	ok(!census_admit(census, &client, &origin), "who was not counted makes no place");
	census_forget(census, &origin);
	ok(census_admit(census, &client, &origin), "who was counted does");
	set_ceilings(census, 10, 1);
	census_forget(census, &origin);
	census_forget(census, &origin);
	ok(!census_admit(census, &client, &origin), "a lower ceiling holds for who is there");
	census_free(census);
	ok(!census_free(NULL), "freeing nothing");
}

static void test_bodies(void)
{
	struct census *census = need(census_new());

	set_ceilings(census, 10, 0);
	ok(census_hold(census, 60) && census_hold(census, 40), "bodies that fit together");
	ok(!census_hold(census, 1), "one byte too many");
	census_release(census, 40);
	ok(!census_hold(census, 41), "what was refused took nothing");
	ok(census_hold(census, 40), "what was given back can be had again");
	census_free(census);
}

int main(void)
{
	test_places();
	test_addresses();
	test_ceiling_of_an_address();
	test_bodies();
	return tap_done();
}
