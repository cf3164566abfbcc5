/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/address_book.h"

#include <errno.h>
#include <stdlib.h>

#include "backend/address_list.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "config/config_expand.h"
#include "config/endpoint.h"
#include "loop/resolver.h"

/* A name, a host, and all of its addresses. */
#define TEXT_MAX_BYTES 4096

/* What is known of one backend's host. */
struct entry {
	struct address_book *book;
	struct str host; /* a slice of the URL in book->config */
	size_t index;    /* of the backend there */
	struct resolver_query *query;
	bool is_due; /* to be asked as soon as the resolver takes it */
	struct address_list list;
};

struct address_book {
	struct address_book_inputs inputs;
	struct resolver *resolver;
	struct config *config;  /* a reference, or NULL before the first one */
	struct entry **entries; /* one per config->backends; NULL where there is no name */
	struct timer timer;     /* when all are due again */
};

static struct entry *entry_free(struct entry *entry)
{
	if (!entry)
		return NULL;
	resolver_cancel(entry->query);
	free(entry);
	return NULL;
}

static void ask_due(struct address_book *book);

static void answered(void *context, const struct resolver_answer *answer)
{
	struct entry *entry = context;
	struct address_book *book = entry->book;

	entry->query = NULL;
	ask_due(book);
	/* A name that is not there just now has the addresses it had. */
	if (answer->error == 0 && address_list_take(&entry->list, answer))
		book->inputs.changed(book->inputs.context, &book->config->backends[entry->index],
				     entry->list.n);
}

/* What the resolver does not take now it is offered with its next answer. */
static void ask_due(struct address_book *book)
{
	for (size_t i = 0; i < book->config->n_backends; i++) {
		struct entry *entry = book->entries[i];

		if (!entry || !entry->is_due || entry->query)
			continue;
		if (resolver_ask(book->resolver, entry->host, STR_LITERAL("0"), answered, entry,
				 &entry->query) < 0)
			return;
		entry->is_due = false;
	}
}

static void timer_fire(struct timer *timer)
{
	struct address_book *book = container_of(timer, struct address_book, timer);

	for (size_t i = 0; i < book->config->n_backends; i++)
		if (book->entries[i])
			book->entries[i]->is_due = true;
	/* The slot of the timer that has just fired is free: this needs no memory. */
	(void)!loop_timer_set(book->inputs.loop, timer,
			      clock_monotonic_ns() + book->config->health.interval);
	ask_due(book);
}

struct address_book *address_book_new(const struct address_book_inputs *inputs)
{
	struct address_book *book = calloc(1, sizeof(*book));

	if (!book)
		return NULL;
	book->inputs = *inputs;
	timer_init(&book->timer, timer_fire);
	book->resolver = resolver_new(inputs->loop);
	return book->resolver ? book : address_book_free(book);
}

static void free_entries(struct entry **entries, size_t n)
{
	for (size_t i = 0; entries && i < n; i++)
		entry_free(entries[i]);
	free(entries);
}

struct address_book *address_book_free(struct address_book *book)
{
	if (!book)
		return NULL;
	loop_timer_clear(book->inputs.loop, &book->timer);
	if (book->config)
		free_entries(book->entries, book->config->n_backends);
	resolver_free(book->resolver);
	config_unref(book->config);
	free(book);
	return NULL;
}

/* The host to look up for a backend. */
static bool has_name(const struct backend_config *backend, struct str *ret_host)
{
	return backend->url && backend_type_is_local(backend->type) &&
	       endpoint_url_host_name(backend->url, ret_host);
}

static int map_entries(const struct address_book *book, struct map *map)
{
	int r = 0;

	for (size_t i = 0; book->config && i < book->config->n_backends && r == 0; i++)
		if (book->entries[i])
			r = map_set(map, str_of(book->config->backends[i].name), book->entries[i]);
	return r;
}

/* Entries of a new configuration; what is known of the same host is copied, queries are not. */
static int make_entries(struct address_book *book, const struct config *config,
			const struct map *old, struct entry **entries)
{
	struct str host;

	for (size_t i = 0; i < config->n_backends; i++) {
		const struct entry *known;

		if (!has_name(&config->backends[i], &host))
			continue;
		entries[i] = calloc(1, sizeof(*entries[i]));
		if (!entries[i])
			return -ENOMEM;
		known = map_find(old, str_of(config->backends[i].name));
		if (known && str_eq(known->host, host))
			entries[i]->list = known->list;
		entries[i]->book = book;
		entries[i]->host = host;
		entries[i]->index = i;
		entries[i]->is_due = true;
	}
	return 0;
}

/* There is a next time for as long as there is a name. */
static int arm_timer(struct address_book *book, const struct config *config,
		     struct entry *const *entries)
{
	for (size_t i = 0; i < config->n_backends; i++)
		if (entries[i])
			return loop_timer_set(book->inputs.loop, &book->timer,
					      clock_monotonic_ns() + config->health.interval);
	loop_timer_clear(book->inputs.loop, &book->timer);
	return 0;
}

int address_book_configure(struct address_book *book, struct config *config)
{
	struct map *old = map_new();
	struct entry **entries = calloc(config->n_backends + 1, sizeof(struct entry *));
	int r = -ENOMEM;

	if (!old || !entries || map_entries(book, old) < 0 ||
	    make_entries(book, config, old, entries) < 0)
		goto fail;
	r = arm_timer(book, config, entries);
	if (r < 0)
		goto fail;
	if (book->config)
		free_entries(book->entries, book->config->n_backends);
	config_ref(config);
	config_unref(book->config);
	book->config = config;
	book->entries = entries;
	map_free(old);
	ask_due(book);
	return 0;
fail:
	free_entries(entries, config->n_backends);
	map_free(old);
	return r;
}

static struct entry *find_entry(const struct address_book *book, struct str backend)
{
	for (size_t i = 0; i < book->config->n_backends; i++)
		if (book->entries[i] && str_eq(str_of(book->config->backends[i].name), backend))
			return book->entries[i];
	return NULL;
}

const char *address_book_alone(const struct address_book *book, const char *backend)
{
	const struct entry *entry = find_entry(book, str_of(backend));

	return entry ? entry->list.alone : "";
}

void address_book_tell(const struct address_book *book, address_book_tell_fn *tell, void *context)
{
	struct buf text;
	int r = 0;

	buf_init(&text, TEXT_MAX_BYTES);
	for (size_t i = 0; i < book->config->n_backends && r == 0; i++) {
		const struct entry *entry = book->entries[i];

		if (!entry || entry->list.n == 0)
			continue;
		buf_clear(&text);
		r = buf_printf(&text, "%s %.*s ", book->config->backends[i].name,
			       (int)entry->host.n, entry->host.p);
		if (r == 0)
			r = address_list_write(&entry->list, &text);
		if (r == 0)
			r = tell(context, buf_str(&text));
	}
	buf_done(&text);
}

void address_book_learn(struct address_book *book, struct str text)
{
	struct entry *entry = find_entry(book, str_split(&text, ' '));

	if (entry && str_eq(str_split(&text, ' '), entry->host))
		(void)!address_list_read(text, &entry->list);
}

struct config *address_book_expand(const struct address_book *book)
{
	size_t n = book->config->n_backends;
	struct config_addresses *addresses = calloc(n + 1, sizeof(*addresses));
	const char *(*texts)[ADDRESS_LIST_MAX] = calloc(n + 1, sizeof(*texts));
	struct config *config = NULL;

	for (size_t i = 0; addresses && texts && i < n; i++) {
		const struct entry *entry = book->entries[i];

		if (!entry || entry->list.n == 0)
			continue;
		addresses[i] = (struct config_addresses){texts[i], ADDRESS_LIST_MAX};
		for (size_t k = 0; k < ADDRESS_LIST_MAX; k++)
			if (entry->list.texts[k][0])
				texts[i][k] = entry->list.texts[k];
	}
	if (addresses && texts)
		config = config_expand(book->config, addresses);
	free(addresses);
	free(texts);
	return config;
}
