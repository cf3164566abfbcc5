/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/address_list.h"

#include <errno.h>

#include "config_fixture.h"
#include "config/config_expand.h"
#include "config/endpoint.h"
#include "tests/tap.h"

/* Adds addresses, written with blanks between them, as a resolver tells them. */
static struct resolver_answer answer_of(const char *texts)
{
	struct resolver_answer answer = {0};
	struct str rest = str_of(texts);

	while (rest.p && rest.n > 0) {
		struct resolver_answer one;

		if (!resolver_numeric(str_split(&rest, ' '), STR_LITERAL("0"), &one))
			break;
		answer.addresses[answer.n++] = one.addresses[0];
	}
	return answer;
}

static const char *text_of(const struct address_list *list)
{
	static char text[ADDRESS_LIST_MAX * INET6_ADDRSTRLEN];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0, left = list->n; left > 0; i++) {
		left -= list->texts[i][0] != '\0';
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "",
				      list->texts[i][0] ? list->texts[i] : "-");
	}
	return text;
}

static const struct {
	const char *answer, *list;
} answers[] = {
	{"10.0.0.1", ""},
	{"::1", ""},
	{"10.0.0.1 10.0.0.1", ""},
	{"127.0.0.1 ::1", ""},
	{"10.0.0.3 10.0.0.1 10.0.0.2", "10.0.0.1 10.0.0.2 10.0.0.3"},
	{"10.0.0.2 10.0.0.1 10.0.0.2", "10.0.0.1 10.0.0.2"},
	{"fd00::2 fd00::1", "fd00::1 fd00::2"},
	{"fd00::1 10.0.0.2 10.0.0.1", "10.0.0.1 10.0.0.2"},
	{"10.0.0.1 fd00::2 fd00::1", "fd00::1 fd00::2"},
	{"fd00::1 10.0.0.2 fd00::2 10.0.0.1", "fd00::1 fd00::2"},
	{"10.0.0.2 fd00::1 10.0.0.1 fd00::2", "10.0.0.1 10.0.0.2"},
};

static void test_answers(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct resolver_answer answer = answer_of(answers[i].answer);
		struct address_list list = {.n = 0};
		bool changed = address_list_take(&list, &answer);

		is_text(text_of(&list), answers[i].list, "%s", answers[i].answer);
		ok(changed == (list.n > 0), "%s: is a change if it is several", answers[i].answer);
		ok(!address_list_take(&list, &answer), "%s: and none again", answers[i].answer);
	}
}

static void test_changes(void)
{
	struct resolver_answer two = answer_of("10.0.0.1 10.0.0.2");
	struct resolver_answer others = answer_of("10.0.0.0 10.0.0.2 10.0.0.3");
	struct resolver_answer fewer = answer_of("10.0.0.3 10.0.0.2");
	struct resolver_answer again = answer_of("10.0.0.1 10.0.0.3 10.0.0.2");
	struct resolver_answer one = answer_of("10.0.0.1");
	struct address_list list = {.n = 0};

	ok(address_list_take(&list, &two) && address_list_take(&list, &others),
	   "other addresses are a change");
	is_text(text_of(&list), "10.0.0.0 10.0.0.2 10.0.0.3", "the one that stays has its number");
	ok(address_list_take(&list, &fewer), "one less");
	is_text(text_of(&list), "- 10.0.0.2 10.0.0.3", "moves nobody");
	ok(address_list_take(&list, &again), "one more");
	is_text(text_of(&list), "10.0.0.1 10.0.0.2 10.0.0.3", "takes the free number");
	ok(address_list_take(&list, &one) && list.n == 0, "one address is no list");
}

static struct resolver_answer many(size_t n, unsigned first)
{
	struct resolver_answer answer = {.n = n};

	for (size_t i = 0; i < n; i++) {
		char text[INET_ADDRSTRLEN];
		struct resolver_answer one;

		(void)snprintf(text, sizeof(text), "10.0.1.%zu", first + i);
		one = answer_of(text);
		answer.addresses[i] = one.addresses[0];
	}
	return answer;
}

/* As those of a large service, all of which are replaced one after the other. */
static void test_more_than_there_is_room_for(void)
{
	struct resolver_answer some = many(RESOLVER_MAX_ADDRESSES, 100), fewer = many(40, 110),
			       others = many(ADDRESS_LIST_MAX, 10);
	struct address_list list = {.n = 0};

	ok(address_list_take(&list, &some), "more addresses than there is room for");
	is_u64(list.n, ADDRESS_LIST_MAX, "fill it");
	ok(!address_list_take(&list, &some), "and stay");
	is_text(list.texts[10], "10.0.1.110", "in the order of their texts");
	ok(address_list_take(&list, &fewer), "ten are gone");
	is_u64(list.n, ADDRESS_LIST_MAX, "others have come for them");
	is_text(list.texts[10], "10.0.1.110", "who stays has its number");
	is_text(list.texts[0], "10.0.1.132", "which others had no room for");
	ok(address_list_take(&list, &others), "then all are others");
	is_text(list.texts[0], "10.0.1.10", "from the first");
	is_text(list.texts[ADDRESS_LIST_MAX - 1], "10.0.1.41", "to the last");
}

static void test_alone(void)
{
	struct resolver_answer two = answer_of("10.0.0.1 10.0.0.2"),
			       one = answer_of("10.0.0.2 ::1");
	struct address_list list = {.n = 0};

	(void)address_list_take(&list, &two);
	is_text(list.alone, "", "none of two is alone");
	(void)address_list_take(&list, &one);
	is_text(list.alone, "10.0.0.2", "the one that is left");
	ok(address_list_take(&list, &two), "two again");
	is_text(list.alone, "", "are no one");
}

static const struct {
	const char *text;
	bool is_good;
} written[] = {
	{"10.0.0.1 10.0.0.2", true},
	{"- 10.0.0.7 - fd00::1", true},
	{"10.0.0.1", false},
	{"- 10.0.0.1", false},
	{"", false},
	{"10.0.0.1  10.0.0.2", false},
	{"10.0.0.1 host", false},
};

static void test_written(void)
{
	struct address_list list, full = {.n = 0};
	struct buf text;

	for (size_t i = 0; i < ARRAY_SIZE(written); i++) {
		bool is_good = address_list_read(str_of(written[i].text), &list) == 0;

		ok(is_good == written[i].is_good, "\"%s\" is read", written[i].text);
		buf_init(&text, 4096);
		if (is_good && ok(address_list_write(&list, &text) == 0, "and written"))
			ok(str_eq(buf_str(&text), str_of(written[i].text)), "as it was");
		buf_done(&text);
	}
	for (; full.n < ADDRESS_LIST_MAX; full.n++)
		(void)snprintf(full.texts[full.n], sizeof(full.texts[0]), "10.0.0.%zu", full.n);
	buf_init(&text, 4096);
	ok(address_list_write(&full, &text) == 0 && address_list_read(buf_str(&text), &list) == 0 &&
		   list.n == full.n,
	   "as many as there can be");
	ok(buf_append(&text, " -", 2) == 0 && address_list_read(buf_str(&text), &list) == -EINVAL,
	   "and no more");
	buf_done(&text);
}

static void test_expanded(void)
{
	const char *texts[] = {"10.0.0.1", NULL, "fd00::1"};
	const struct config_addresses none[2] = {{NULL, 0}, {NULL, 0}};
	const struct config_addresses some[2] = {{texts, 3}, {NULL, 0}};
	struct config *config;
	struct result result;

	parse(&result, "backends = ( { name = \"gpu\"; type = \"vllm\"; url = \"http://gpu\"; "
		       "models = [ \"m\" ]; }, { name = \"demo\"; type = \"demo\"; } );");
	need(result.config);
	config = config_expand(result.config, none);
	ok(config == result.config, "nothing to expand");
	config_unref(config);
	config = need(config_expand(result.config, some));
	done(&result); /* the other one holds it */
	is_u64(config->n_backends, 3, "two for one");
	is_text(config->backends[0].name, "gpu@1", "the first");
	is_text(config->backends[1].name, "gpu@3", "the third");
	is_text(config->backends[1].address, "fd00::1", "with its address");
	is_text(config->backends[1].models[0].id, "m", "and what the file says");
	is_text(config->backends[2].name, "demo", "the other backend stays");
	ok(!config->backends[2].address, "as it was");
	is_u64(config_name_length(&config->backends[0]), 3, "the name in the file");
	is_u64(config_name_length(&config->backends[2]), 4, "of one that is no copy");
	config_unref(config);
}

static const struct {
	const char *url, *host; /* NULL: none to look up */
} hosts[] = {
	{"http://gpu", "gpu"},
	{"https://gpu.example:8000/x", "gpu.example"},
	{"http://10.0.0.1:8000", NULL},
	{"http://[::1]:8000", NULL},
	{"http://10.example", "10.example"},
};

static void test_hosts(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct str host = {"", 0};
		bool found = endpoint_url_host_name(hosts[i].url, &host);

		ok(found == (hosts[i].host != NULL) &&
			   (!found || str_eq(host, str_of(hosts[i].host))),
		   "%s", hosts[i].url);
	}
}

int main(void)
{
	test_answers();
	test_changes();
	test_more_than_there_is_room_for();
	test_alone();
	test_written();
	test_expanded();
	test_hosts();
	return tap_done();
}
