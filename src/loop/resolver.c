/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lookup cannot be interrupted and may take half a minute: the thread is detached and shares
 * its state with the resolver; whoever leaves last frees it.
 */
#include "loop/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>

#include "loop/mailbox.h"

enum { PORT_BYTES = 8 };

struct resolver_query {
	struct mail mail;
	struct list node; /* of `waiting`; mutex */
	struct resolver *resolver;
	char host[RESOLVER_HOST_BYTES], port[PORT_BYTES];
	struct resolver_answer answer;
	/* The loop's thread; NULL: cancelled. */
	void (*answered)(void *context, const struct resolver_answer *answer);
	void *context;
};

struct resolver {
	struct mailbox *mailbox; /* posted to with the mutex held, unless stopping */
	bool has_thread;         /* the loop's thread */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct list waiting; /* mutex */
	size_t n_waiting;    /* mutex */
	bool is_stopping;    /* mutex; only the loop's thread writes it */
	int references;      /* mutex: the owner's and the thread's */
};

struct resolver *resolver_new(struct loop *loop)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver)
		return NULL;
	resolver->mailbox = mailbox_new(loop);
	if (!resolver->mailbox) {
		free(resolver);
		return NULL;
	}
	pthread_mutex_init(&resolver->mutex, NULL);
	pthread_cond_init(&resolver->changed, NULL);
	list_init(&resolver->waiting);
	resolver->references = 1;
	return resolver;
}

static void unref(struct resolver *resolver)
{
	int left;

	pthread_mutex_lock(&resolver->mutex);
	left = --resolver->references;
	pthread_mutex_unlock(&resolver->mutex);
	if (left > 0)
		return;
	pthread_cond_destroy(&resolver->changed);
	pthread_mutex_destroy(&resolver->mutex);
	free(resolver);
}

struct resolver *resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return NULL;
	pthread_mutex_lock(&resolver->mutex);
	resolver->is_stopping = true;
	pthread_cond_signal(&resolver->changed);
	pthread_mutex_unlock(&resolver->mutex);
	list_for_each (node, next, &resolver->waiting)
		free(list_entry(node, struct resolver_query, node));
	list_init(&resolver->waiting);
	resolver->mailbox = mailbox_free(resolver->mailbox);
	unref(resolver);
	return NULL;
}

static int look_up(const char *host, const char *port, int flags, struct resolver_answer *answer)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_DGRAM, /* each address once; streams have the same ones */
		.ai_flags = AI_NUMERICSERV | flags,
	};
	struct addrinfo *found = NULL;

	answer->n = 0;
	answer->error = getaddrinfo(host, port, &hints, &found);
	if (answer->error)
		return answer->error;
	for (const struct addrinfo *at = found; at && answer->n < RESOLVER_MAX_ADDRESSES;
	     at = at->ai_next) {
		struct resolver_address *address = &answer->addresses[answer->n++];

		memcpy(&address->socket, at->ai_addr, at->ai_addrlen);
		address->n = at->ai_addrlen;
	}
	freeaddrinfo(found);
	return 0;
}

static bool copy_text(char *copy, size_t size, struct str text)
{
	if (text.n >= size)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	return true;
}

bool resolver_numeric(struct str host, struct str port, struct resolver_answer *ret_answer)
{
	char host_text[RESOLVER_HOST_BYTES], port_text[PORT_BYTES];
	struct resolver_answer answer = {0};

	if (!copy_text(host_text, sizeof(host_text), host) ||
	    !copy_text(port_text, sizeof(port_text), port) ||
	    look_up(host_text, port_text, AI_NUMERICHOST, &answer) != 0)
		return false;
	*ret_answer = answer;
	return true;
}

static void deliver(struct mail *mail)
{
	struct resolver_query *query = container_of(mail, struct resolver_query, mail);

	if (query->answered && !query->resolver->is_stopping)
		query->answered(query->context, &query->answer);
	free(query);
}

/* With the mutex. NULL: it is over. */
static struct resolver_query *next_query(struct resolver *resolver)
{
	struct resolver_query *query;

	while (!resolver->is_stopping && list_is_empty(&resolver->waiting))
		pthread_cond_wait(&resolver->changed, &resolver->mutex);
	if (resolver->is_stopping)
		return NULL;
	query = list_entry(resolver->waiting.next, struct resolver_query, node);
	list_remove(&query->node);
	resolver->n_waiting--;
	return query;
}

static void *run(void *context)
{
	struct resolver *resolver = context;
	struct resolver_query *query;

	pthread_mutex_lock(&resolver->mutex);
	while ((query = next_query(resolver))) {
		pthread_mutex_unlock(&resolver->mutex);
		(void)look_up(query->host, query->port, 0, &query->answer);
		pthread_mutex_lock(&resolver->mutex);
		if (resolver->is_stopping)
			free(query);
		else
			mailbox_post(resolver->mailbox, &query->mail);
	}
	pthread_mutex_unlock(&resolver->mutex);
	unref(resolver);
	return NULL;
}

static int start_thread(struct resolver *resolver)
{
	pthread_t thread;

	if (resolver->has_thread)
		return 0;
	resolver->references++; /* nobody else is there yet */
	if (pthread_create(&thread, NULL, run, resolver) != 0) {
		resolver->references--;
		return -EAGAIN;
	}
	pthread_detach(thread);
	resolver->has_thread = true;
	return 0;
}

/* False when too many wait. */
static bool enqueue(struct resolver *resolver, struct resolver_query *query)
{
	bool has_room;

	pthread_mutex_lock(&resolver->mutex);
	has_room = resolver->n_waiting < RESOLVER_MAX_WAITING;
	if (has_room) {
		list_append(&resolver->waiting, &query->node);
		resolver->n_waiting++;
		pthread_cond_signal(&resolver->changed);
	}
	pthread_mutex_unlock(&resolver->mutex);
	return has_room;
}

int resolver_ask(struct resolver *resolver, struct str host, struct str port,
		 void (*answered)(void *context, const struct resolver_answer *answer),
		 void *context, struct resolver_query **ret_query)
{
	struct resolver_query *query = calloc(1, sizeof(*query));
	int r = -EINVAL;

	if (!query)
		return -ENOMEM;
	query->mail.deliver = deliver;
	query->resolver = resolver;
	query->answered = answered;
	query->context = context;
	if (!copy_text(query->host, sizeof(query->host), host) ||
	    !copy_text(query->port, sizeof(query->port), port))
		goto fail;
	r = start_thread(resolver);
	if (r < 0)
		goto fail;
	r = -EAGAIN;
	if (!enqueue(resolver, query))
		goto fail;
	*ret_query = query;
	return 0;
fail:
	free(query);
	return r;
}

struct resolver_query *resolver_cancel(struct resolver_query *query)
{
	struct resolver *resolver;
	bool is_waiting;

	if (!query)
		return NULL;
	resolver = query->resolver;
	/* The thread, or the mailbox, goes on owning one that is no longer waiting. */
	query->answered = NULL;
	pthread_mutex_lock(&resolver->mutex);
	is_waiting = !list_is_empty(&query->node);
	list_remove(&query->node);
	resolver->n_waiting -= is_waiting;
	pthread_mutex_unlock(&resolver->mutex);
	if (is_waiting)
		free(query);
	return NULL;
}
