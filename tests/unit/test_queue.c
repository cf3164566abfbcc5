/* SPDX-License-Identifier: Apache-2.0 */
#include "route/queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

#include "attempts_bed.h"
#include "base/clock.h"
#include "tap.h"

/* One who waits for a place for the model m: on a, or on b and c, which are down. */
struct client {
	struct queue *queue;
	struct loop *loop;
	struct attempts attempts;
	struct queue_entry entry;
	unsigned woken;
};

struct scene {
	struct bed bed;
	struct queue *queue;
	struct loop *loop;
	struct mailbox *mailbox;
	struct backend *a;
	struct client clients[4];
};

static void woken(void *context)
{
	struct client *client = context;

	client->entry.waiter = NULL;
	client->woken++;
	if (client->loop)
		loop_stop(client->loop);
}

static void scene_init(struct scene *scene)
{
	bed_init(&scene->bed);
	set_up(&scene->bed, "b- c- d-");
	scene->bed.fleet.config.routing.max_retries = 1;
	scene->queue = need(queue_new());
	scene->loop = need(loop_new());
	scene->mailbox = need(mailbox_new(scene->loop));
	scene->a = fleet_backend(&scene->bed.fleet, "a");
	atomic_store(&scene->a->places, 1);
	for (size_t i = 0; i < ARRAY_SIZE(scene->clients); i++) {
		struct client *client = &scene->clients[i];
		int r = attempts_init(&client->attempts, scene->bed.table,
				      fleet_find(scene->bed.table, "m"), &scene->bed.random);

		assert(r == 0);
		client->queue = client->attempts.queue = scene->queue;
		queue_entry_init(&client->entry, &client->attempts);
		client->entry.until_ns = clock_monotonic_ns() + 60 * NS_PER_SEC;
		client->woken = 0;
	}
}

static void scene_done(struct scene *scene)
{
	for (size_t i = 0; i < ARRAY_SIZE(scene->clients); i++)
		attempts_done(&scene->clients[i].attempts);
	mailbox_free(scene->mailbox);
	loop_free(scene->loop);
	queue_free(scene->queue);
	bed_done(&scene->bed);
}

static int enter(struct scene *scene, size_t i, enum queue_lane lane, size_t most)
{
	struct client *client = &scene->clients[i];
	struct waiter *waiter = need(waiter_new(scene->mailbox, woken, client));
	int r;

	fleet_need(waiter);
	r = queue_enter(scene->queue, &client->entry, lane, most, waiter);
	if (r < 0) {
		waiter_abandon(waiter);
		waiter_wake(waiter);
	}
	return r;
}

struct last_mail {
	struct mail mail;
	struct loop *loop;
};

static void stop(struct mail *mail)
{
	loop_stop(container_of(mail, struct last_mail, mail)->loop);
}

/* Everything that was posted is delivered. */
static void deliver(struct scene *scene)
{
	struct last_mail last = {.mail.deliver = stop, .loop = scene->loop};

	mailbox_post(scene->mailbox, &last.mail);
	loop_run(scene->loop);
}

/* Who holds the place at a: gives it back. */
static void give_back(struct scene *scene)
{
	queue_give_back(scene->queue, scene->a);
	deliver(scene);
}

static void test_turns(void)
{
	static struct scene scene;
	bool has_place;

	scene_init(&scene);
	has_place = backend_enter(scene.a);
	ok(has_place && !backend_enter(scene.a), "the only place is taken");
	is_int(enter(&scene, 0, QUEUE_NORMAL, 3), 0, "one waits");
	is_int(enter(&scene, 1, QUEUE_NORMAL, 3), 0, "and another");
	is_int(enter(&scene, 2, QUEUE_HIGH, 3), 0, "and one that is more important");
	is_int(enter(&scene, 3, QUEUE_HIGH, 3), -ENOBUFS, "there is no room for a fourth");
	deliver(&scene);
	is_u64(scene.clients[0].woken + scene.clients[1].woken + scene.clients[2].woken, 0,
	       "nobody is woken for nothing");
	give_back(&scene);
	is_u64(scene.clients[2].woken, 1, "the important one is the first");
	ok(queue_leave(scene.queue, &scene.clients[2].entry).backend == scene.a,
	   "and has a place at a");
	ok(!queue_leave(scene.queue, &scene.clients[2].entry).backend, "which it is told once");
	is_int(atomic_load(&scene.a->pending), 1, "it was never free in between");
	give_back(&scene);
	ok(scene.clients[0].woken == 1 && scene.clients[1].woken == 0, "then who came first");
	ok(attempts_grant(&scene.clients[0].attempts,
			  queue_leave(scene.queue, &scene.clients[0].entry)) != NULL,
	   "it goes to a");
	is_u64(scene.clients[0].attempts.tries, 1, "as its first attempt");
	attempts_leave(&scene.clients[0].attempts);
	deliver(&scene);
	is_u64(scene.clients[1].woken, 1, "whose end wakes the last");
	queue_give_back(scene.queue, queue_leave(scene.queue, &scene.clients[1].entry).backend);
	is_int(atomic_load(&scene.a->pending), 0, "with nobody waiting it is free");
	scene_done(&scene);
}

/* Its place was lost before it was used: that does not cost it its turn. */
static void test_coming_back(void)
{
	static const size_t turns[] = {0, 1, 3, 2};
	static struct scene scene;

	scene_init(&scene);
	ok(backend_enter(scene.a), "the place is taken");
	is_int(enter(&scene, 0, QUEUE_NORMAL, 9), 0, "one waits");
	is_int(enter(&scene, 1, QUEUE_NORMAL, 9), 0, "and another");
	give_back(&scene);
	ok(queue_leave(scene.queue, &scene.clients[0].entry).backend == scene.a,
	   "the first has a place");
	is_int(enter(&scene, 3, QUEUE_NORMAL, 9), 0, "a third comes");
	give_back(&scene);
	ok(queue_leave(scene.queue, &scene.clients[1].entry).backend == scene.a,
	   "so has the second");
	is_int(enter(&scene, 2, QUEUE_NORMAL, 9), 0, "a fourth comes");
	is_int(enter(&scene, 1, QUEUE_NORMAL, 9), 0, "the second comes back");
	is_int(enter(&scene, 0, QUEUE_NORMAL, 9), 0, "and then the first");
	for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
		give_back(&scene);
		ok(queue_leave(scene.queue, &scene.clients[turns[i]].entry).backend == scene.a,
		   "turn %zu is that of who came so early", i);
	}
	queue_give_back(scene.queue, scene.a);
	scene_done(&scene);
}

static void test_leaving(void)
{
	static struct scene scene;

	scene_init(&scene);
	ok(backend_enter(scene.a), "the place is taken");
	for (size_t i = 0; i < 3; i++)
		is_int(enter(&scene, i, QUEUE_NORMAL, 9), 0, "%zu waits", i);
	ok(!queue_leave(scene.queue, &scene.clients[0].entry).backend, "the first leaves");
	queue_give_back(scene.queue, scene.a);
	/* Its waiter has not been delivered yet. */
	ok(queue_leave(scene.queue, &scene.clients[1].entry).backend == scene.a,
	   "the next leaves in the moment in which it gets the place");
	queue_give_back(scene.queue, scene.a);
	deliver(&scene);
	ok(scene.clients[0].woken == 0 && scene.clients[1].woken == 0, "neither is woken");
	is_u64(scene.clients[2].woken, 1, "the place goes on to the third");
	queue_give_back(scene.queue, queue_leave(scene.queue, &scene.clients[2].entry).backend);
	is_int(atomic_load(&scene.a->pending), 0, "all is free");
	scene_done(&scene);
}

static void test_offers(void)
{
	static struct scene scene;
	struct backend *b;

	scene_init(&scene);
	b = fleet_backend(&scene.bed.fleet, "b");
	is_int(enter(&scene, 0, QUEUE_NORMAL, 9), 0, "one waits although there is a place");
	deliver(&scene);
	ok(queue_leave(scene.queue, &scene.clients[0].entry).backend == scene.a,
	   "and gets it at once");
	is_int(enter(&scene, 1, QUEUE_NORMAL, 9), 0, "another waits");
	is_int(enter(&scene, 2, QUEUE_NORMAL, 9), 0, "and one more");
	queue_offer(scene.queue, b);
	deliver(&scene);
	is_u64(scene.clients[1].woken, 0, "b is unhealthy: nobody wants a place there");
	fleet_set_health(&scene.bed.fleet, "b", BACKEND_HEALTHY);
	queue_offer(scene.queue, b);
	deliver(&scene);
	ok(queue_leave(scene.queue, &scene.clients[1].entry).backend == b &&
		   queue_leave(scene.queue, &scene.clients[2].entry).backend == b,
	   "healthy it has room for both");
	queue_give_back(scene.queue, b);
	queue_give_back(NULL, b);
	atomic_store(&scene.a->pending, 2);
	is_int(enter(&scene, 3, QUEUE_NORMAL, 9), 0, "one waits, and b is free");
	deliver(&scene);
	ok(queue_leave(scene.queue, &scene.clients[3].entry).backend == b, "b it is");
	fleet_set_health(&scene.bed.fleet, "b", BACKEND_UNHEALTHY);
	ok(!attempts_grant(&scene.clients[3].attempts, (struct grant){.backend = b}),
	   "which fails before it is used");
	is_int(atomic_load(&b->pending), 0, "its place is given back");
	is_int(enter(&scene, 3, QUEUE_NORMAL, 9), 0, "it waits again");
	give_back(&scene);
	is_u64(scene.clients[3].woken, 1, "a has one more than it should: its place is not kept");
	give_back(&scene);
	is_u64(scene.clients[3].woken, 2, "the next one is");
	queue_give_back(scene.queue, queue_leave(scene.queue, &scene.clients[3].entry).backend);
	scene_done(&scene);
}

static size_t count_woken(const struct scene *scene)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(scene->clients); i++)
		n += scene->clients[i].woken;
	return n;
}

/* While a circuit is half open, one at a time is let through, however many places there are. */
static void test_half_open(void)
{
	static struct scene scene;
	struct attempts *probe = &scene.clients[0].attempts;
	const struct candidate *candidate;
	struct grant grant;
	struct backend *b;

	scene_init(&scene);
	b = fleet_backend(&scene.bed.fleet, "b");
	ok(backend_enter(scene.a), "the place at a is taken");
	fleet_set_health(&scene.bed.fleet, "b", BACKEND_HEALTHY);
	atomic_store(&b->breaker.until_ns, UINT64_MAX);
	for (size_t i = 0; i < 3; i++)
		is_int(enter(&scene, i, QUEUE_NORMAL, 3), 0, "%zu waits, b's circuit is open", i);
	deliver(&scene);
	is_u64(count_woken(&scene), 0, "in vain so far");
	breaker_make_due(&b->breaker);
	queue_offer(scene.queue, b);
	deliver(&scene);
	ok(count_woken(&scene) == 1 && scene.clients[0].woken == 1, "half open it takes the first");
	candidate = attempts_grant(probe, queue_leave(scene.queue, &scene.clients[0].entry));
	ok(candidate && candidate->backend == b, "which goes there");
	is_int(enter(&scene, 3, QUEUE_NORMAL, 3), 0, "another comes");
	deliver(&scene);
	is_u64(count_woken(&scene), 1, "and waits, too");
	attempts_leave(probe);
	deliver(&scene);
	ok(count_woken(&scene) == 2 && scene.clients[1].woken == 1,
	   "the first one left without a word: now the next one probes");
	grant = queue_leave(scene.queue, &scene.clients[1].entry);
	ok(grant.backend == b && grant.pass.is_probe, "or would");
	attempts_decline(&scene.clients[1].attempts, grant);
	deliver(&scene);
	ok(count_woken(&scene) == 3 && scene.clients[2].woken == 1,
	   "it leaves, too: the third does");
	is_int(enter(&scene, 0, QUEUE_NORMAL, 1), 0, "who waited before finds room");
	is_int(enter(&scene, 1, QUEUE_NORMAL, 1), 0, "however many wait");
	(void)attempts_grant(&scene.clients[2].attempts,
			     queue_leave(scene.queue, &scene.clients[2].entry));
	is_int(attempts_note(&scene.clients[2].attempts, OUTCOME_OK, 200), BREAKER_CLOSES,
	       "the third is answered, and the circuit closes");
	queue_offer(scene.queue, b);
	deliver(&scene);
	is_u64(count_woken(&scene), 6, "and all get places there");
	attempts_leave(&scene.clients[2].attempts);
	for (size_t i = 0; i < ARRAY_SIZE(scene.clients); i++)
		if (i != 2)
			attempts_decline(&scene.clients[i].attempts,
					 queue_leave(scene.queue, &scene.clients[i].entry));
	is_int(atomic_load(&b->pending), 0, "all is free");
	queue_give_back(scene.queue, scene.a);
	scene_done(&scene);
}

static void test_nothing_to_wait_for(void)
{
	static struct scene scene;
	uint64_t pause_ns;
	struct backend *b;

	scene_init(&scene);
	b = fleet_backend(&scene.bed.fleet, "b");
	ok(backend_enter(scene.a), "the place is taken");
	is_int(enter(&scene, 0, QUEUE_NORMAL, 9), 0, "one waits");
	is_int(enter(&scene, 1, QUEUE_HIGH, 9), 0, "and another");
	is_u64(queue_review(scene.queue), UINT64_MAX, "no pause is waited for");
	deliver(&scene);
	is_u64(count_woken(&scene), 0, "nothing is wrong with a");
	fleet_set_health(&scene.bed.fleet, "a", BACKEND_UNHEALTHY);
	fleet_set_health(&scene.bed.fleet, "b", BACKEND_HEALTHY);
	backend_hold(b, clock_monotonic_ns() + 20 * NS_PER_SEC);
	pause_ns = queue_review(scene.queue);
	ok(pause_ns > 0 && pause_ns <= 20 * NS_PER_SEC, "which is told: %llu",
	   (unsigned long long)pause_ns);
	deliver(&scene);
	is_u64(count_woken(&scene), 0, "a is down, but b is left alone for a short time only");
	backend_hold(b, UINT64_MAX);
	(void)queue_review(scene.queue);
	deliver(&scene);
	is_u64(count_woken(&scene), 2, "for longer than they will wait: they are woken");
	ok(!queue_leave(scene.queue, &scene.clients[0].entry).backend &&
		   !queue_leave(scene.queue, &scene.clients[1].entry).backend,
	   "without a place");
	is_int(enter(&scene, 2, QUEUE_NORMAL, 9), 0, "one comes that has not seen it yet");
	deliver(&scene);
	is_u64(scene.clients[2].woken, 1, "it is woken, too");
	fleet_set_health(&scene.bed.fleet, "a", BACKEND_HEALTHY);
	is_int(enter(&scene, 2, QUEUE_NORMAL, 9), 0, "it waits again");
	(void)backend_drain(scene.a, BACKEND_DRAIN_ADDRESS);
	(void)queue_review(scene.queue);
	ok(!queue_leave(scene.queue, &scene.clients[2].entry).backend,
	   "and leaves when it has been woken");
	deliver(&scene);
	is_u64(scene.clients[2].woken, 1, "it does not hear of it");
	queue_give_back(scene.queue, scene.a);
	is_int(atomic_load(&scene.a->pending), 0, "all is free");
	scene_done(&scene);
}

static void test_tries(void)
{
	static struct scene scene;
	struct attempts *attempts = &scene.clients[0].attempts;
	const struct candidate *candidate;
	uint64_t wait_ns;

	scene_init(&scene);
	atomic_store(&scene.a->pending, 1);
	is_int(attempts_next(attempts, &candidate, &wait_ns), ATTEMPTS_SATURATED, "no place");
	for (int i = 0; i < 2; i++) {
		ok(attempts_wants(attempts, scene.a), "it would like one at a");
		candidate = attempts_grant(attempts, (struct grant){.backend = scene.a});
		ok(candidate && candidate->backend == scene.a, "it has one");
		is_u64(attempts_tries(attempts), (unsigned)i + 1, "for m");
		(void)attempts_note(attempts, OUTCOME_RESET, 0);
		atomic_fetch_add(&scene.a->pending, 1); /* who came first takes it */
		(void)attempts_next(attempts, &candidate, &wait_ns);
	}
	is_text(attempts_model(attempts)->id, "m", "m was tried as often as it may");
	candidate = attempts_grant(attempts, (struct grant){.backend = scene.a});
	ok(candidate != NULL, "but g, a fallback, is on a, too");
	is_text(attempts_model(attempts)->id, "g", "and comes next");
	(void)attempts_note(attempts, OUTCOME_RESET, 0);
	attempts_leave(attempts);
	scene_done(&scene);
}

/* Each of several threads is a worker with one request after the other. */
struct crowd {
	struct scene *scene;
	_Atomic int inside, most, served;
};

static void have_a_place(struct crowd *crowd)
{
	int inside = atomic_fetch_add(&crowd->inside, 1) + 1;
	int most = atomic_load(&crowd->most);

	while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside))
		;
	atomic_fetch_add(&crowd->served, 1);
	atomic_fetch_sub(&crowd->inside, 1);
	queue_give_back(crowd->scene->queue, crowd->scene->a);
}

static void *work(void *context)
{
	struct crowd *crowd = context;
	struct loop *loop = need(loop_new());
	struct client client = {.queue = crowd->scene->queue, .loop = loop};
	struct mailbox *mailbox = need(mailbox_new(loop));
	struct hash_random random;
	int r;

	hash_random_init(&random, (struct hash_seed){7, 8});
	r = attempts_init(&client.attempts, crowd->scene->bed.table,
			  fleet_find(crowd->scene->bed.table, "m"), &random);
	assert(r == 0);
	queue_entry_init(&client.entry, &client.attempts);
	for (int i = 0; i < 2000; i++) {
		struct waiter *waiter;

		if (backend_enter(crowd->scene->a)) {
			have_a_place(crowd);
			continue;
		}
		waiter = need(waiter_new(mailbox, woken, &client));
		fleet_need(waiter);
		r = queue_enter(client.queue, &client.entry, QUEUE_NORMAL, 99, waiter);
		assert(r == 0);
		/* Now and then one leaves, whatever has become of it. */
		if (i % 7 != 0)
			loop_run(loop);
		if (queue_leave(client.queue, &client.entry).backend)
			have_a_place(crowd);
	}
	mailbox_free(mailbox);
	loop_free(loop);
	attempts_done(&client.attempts);
	return NULL;
}

static void test_crowd(void)
{
	static struct scene scene;
	struct crowd crowd = {.scene = &scene};
	pthread_t threads[4];
	size_t n = 0;

	scene_init(&scene);
	atomic_store(&scene.a->places, 2);
	while (n < ARRAY_SIZE(threads) && pthread_create(&threads[n], NULL, work, &crowd) == 0)
		n++;
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	ok(n == ARRAY_SIZE(threads) && crowd.most <= 2, "never more than two at a time");
	ok(crowd.served > 6000, "nobody who stayed was forgotten: %d served", crowd.served);
	is_int(atomic_load(&scene.a->pending), 0, "all places are free");
	scene_done(&scene);
}

int main(void)
{
	test_turns();
	test_coming_back();
	test_leaving();
	test_offers();
	test_half_open();
	test_nothing_to_wait_for();
	test_tries();
	test_crowd();
	return tap_done();
}
