/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/address_list.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int family_of(const struct resolver_address *address)
{
	return address->socket.ss_family;
}

static int choose_family(const struct resolver_answer *answer)
{
	int first = family_of(&answer->addresses[0]);
	int other = first == AF_INET ? AF_INET6 : AF_INET;
	size_t n_first = 0;

	for (size_t i = 0; i < answer->n; i++)
		n_first += family_of(&answer->addresses[i]) == first;
	return answer->n - n_first > n_first ? other : first;
}

static void write_text(const struct resolver_address *address, char text[static INET6_ADDRSTRLEN])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->socket;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;

	if (family_of(address) == AF_INET)
		(void)inet_ntop(AF_INET, &v4->sin_addr, text, INET6_ADDRSTRLEN);
	else
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, text, INET6_ADDRSTRLEN);
}

/* All addresses of one family in an answer. */
struct told {
	char texts[RESOLVER_MAX_ADDRESSES][INET6_ADDRSTRLEN];
	size_t n;
};

/* Is it among so many texts? An empty text is not. */
static bool has(char (*texts)[INET6_ADDRSTRLEN], size_t n, const char *text)
{
	for (size_t i = 0; i < n && *text; i++)
		if (strcmp(texts[i], text) == 0)
			return true;
	return false;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Sorted, each once. */
static void collect(const struct resolver_answer *answer, struct told *told)
{
	int family = choose_family(answer);
	char text[INET6_ADDRSTRLEN];

	told->n = 0;
	for (size_t i = 0; i < answer->n; i++) {
		if (family_of(&answer->addresses[i]) != family)
			continue;
		write_text(&answer->addresses[i], text);
		if (!has(told->texts, told->n, text))
			memcpy(told->texts[told->n++], text, sizeof(text));
	}
	qsort(told->texts, told->n, sizeof(told->texts[0]), compare_texts);
}

/* Whoever is gone gives up the number. */
static bool drop_gone(struct address_list *list, struct told *told)
{
	size_t n_before = list->n;

	for (size_t i = 0; i < ADDRESS_LIST_MAX; i++) {
		if (!list->texts[i][0] || has(told->texts, told->n, list->texts[i]))
			continue;
		list->texts[i][0] = '\0';
		list->n--;
	}
	return list->n != n_before;
}

/* Whoever is new gets the lowest free number, if there is one. */
static bool add_new(struct address_list *list, struct told *told)
{
	size_t n_before = list->n, number = 0;

	for (size_t i = 0; i < told->n && list->n < ADDRESS_LIST_MAX; i++) {
		if (has(list->texts, ADDRESS_LIST_MAX, told->texts[i]))
			continue;
		while (list->texts[number][0])
			number++;
		memcpy(list->texts[number], told->texts[i], sizeof(told->texts[i]));
		list->n++;
	}
	return list->n != n_before;
}

bool address_list_take(struct address_list *list, const struct resolver_answer *answer)
{
	struct told told;
	bool dropped;

	collect(answer, &told);
	list->alone[0] = '\0';
	/* The address of a host that has one is libcurl's business: it may be of either family. */
	if (told.n == 1) {
		memcpy(list->alone, told.texts[0], sizeof(list->alone));
		told.n = 0;
	}
	dropped = drop_gone(list, &told);
	return add_new(list, &told) || dropped;
}

int address_list_write(const struct address_list *list, struct buf *text)
{
	int r = 0;

	for (size_t i = 0, left = list->n; left > 0 && r == 0; i++) {
		const char *address = list->texts[i][0] ? list->texts[i] : "-";

		left -= list->texts[i][0] != '\0';
		r = buf_printf(text, "%s%s", i > 0 ? " " : "", address);
	}
	return r;
}

int address_list_read(struct str text, struct address_list *ret_list)
{
	struct address_list list = {.n = 0};

	for (size_t i = 0; text.p; i++) {
		struct str word = str_split(&text, ' ');
		struct resolver_answer one;

		if (i == ADDRESS_LIST_MAX)
			return -EINVAL;
		if (str_eq(word, STR_LITERAL("-")))
			continue;
		if (!resolver_numeric(word, STR_LITERAL("0"), &one))
			return -EINVAL;
		write_text(&one.addresses[0], list.texts[i]);
		list.n++;
	}
	if (list.n == 1)
		return -EINVAL;
	*ret_list = list;
	return 0;
}
