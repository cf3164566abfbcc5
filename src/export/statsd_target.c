/* SPDX-License-Identifier: Apache-2.0 */
#include "export/statsd_target.h"

#include <assert.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/un.h>

#include "base/clock.h"

#define OLD_NS   (60 * NS_PER_SEC)
#define AGAIN_NS NS_PER_SEC /* after a failure */

void statsd_target_init(struct statsd_target *target, struct loop *loop, struct resolver *resolver,
			void (*changed)(struct statsd_target *target, const char *error))
{
	*target = (struct statsd_target){.loop = loop, .resolver = resolver, .changed = changed};
}

void statsd_target_done(struct statsd_target *target)
{
	target->query = resolver_cancel(target->query);
}

static void set_path(struct statsd_target *target)
{
	struct resolver_address *address = &target->known.addresses[0];
	struct sockaddr_un *unix_address = (struct sockaddr_un *)(void *)&address->socket;
	struct str path = target->receiver.host;

	*unix_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(unix_address->sun_path, path.p, path.n);
	address->n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
	target->known.n = 1;
}

const struct resolver_address *statsd_target_address(const struct statsd_target *target)
{
	return target->known.n ? &target->known.addresses[target->current] : NULL;
}

static bool is_same(const struct resolver_address *one, const struct resolver_address *other)
{
	return one->n == other->n && memcmp(&one->socket, &other->socket, one->n) == 0;
}

static void answered(void *context, const struct resolver_answer *answer)
{
	struct statsd_target *target = context;
	struct resolver_address before;
	size_t n_before = target->known.n, at = 0;

	target->query = NULL;
	if (answer->error) {
		if (n_before == 0)
			target->changed(target, gai_strerror(answer->error));
		return;
	}
	if (n_before)
		before = target->known.addresses[target->current];
	target->known = *answer;
	while (n_before && at < answer->n && !is_same(&answer->addresses[at], &before))
		at++;
	target->current = at < answer->n ? at : 0;
	if (n_before == 0 || at == answer->n)
		target->changed(target, NULL);
}

static void ask(struct statsd_target *target)
{
	target->asked_ns = loop_now_ns(target->loop);
	/* Without memory or thread it is asked for again when this is due again. */
	if (!target->query)
		(void)!resolver_ask(target->resolver, target->receiver.host, target->receiver.port,
				    answered, target, &target->query);
}

void statsd_target_set(struct statsd_target *target, const char *address)
{
	const struct endpoint_receiver *receiver = &target->receiver;
	const char *wrong;

	snprintf(target->address, sizeof(target->address), "%s", address);
	wrong = endpoint_receiver_parse(target->address, &target->receiver);
	assert(!wrong);
	target->query = resolver_cancel(target->query);
	target->known = (struct resolver_answer){0};
	target->current = 0;
	target->is_name = false;
	if (receiver->transport == ENDPOINT_UNIXGRAM)
		set_path(target);
	else if (!resolver_numeric(receiver->host, receiver->port, &target->known)) {
		target->is_name = true;
		ask(target);
	}
}

static void ask_if_older(struct statsd_target *target, uint64_t age_ns)
{
	if (target->is_name && loop_now_ns(target->loop) - target->asked_ns >= age_ns)
		ask(target);
}

void statsd_target_refresh(struct statsd_target *target)
{
	ask_if_older(target, target->known.n ? OLD_NS : AGAIN_NS);
}

void statsd_target_failed(struct statsd_target *target)
{
	if (target->known.n)
		target->current = (target->current + 1) % target->known.n;
	ask_if_older(target, AGAIN_NS);
}
