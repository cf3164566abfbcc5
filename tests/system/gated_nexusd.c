/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexusd with one more step in its chain: requests with the header X-Test-Wait answer WAIT until a
 * request with X-Test-Open has passed, on whatever worker. Shows that a step can park a request
 * and that another thread can wake it. X-Test-Hang stops the worker until SIGUSR1 comes.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "api/chain.h"
#include "api/request.h"
#include "daemon/daemon.h"

#define WAITERS_MAX 64

struct gate {
	pthread_mutex_t mutex;
	bool open;
	struct waiter *waiters[WAITERS_MAX];
	size_t n_waiters;
};

static enum step_verdict wait_at(struct gate *gate, struct request *request)
{
	enum step_verdict verdict = STEP_WAIT;
	struct waiter *waiter;

	pthread_mutex_lock(&gate->mutex);
	if (gate->open) {
		verdict = STEP_NEXT;
	} else {
		waiter = chain_wait(request);
		if (!waiter || gate->n_waiters == WAITERS_MAX)
			abort();
		gate->waiters[gate->n_waiters++] = waiter;
	}
	pthread_mutex_unlock(&gate->mutex);
	return verdict;
}

static void open_gate(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	gate->open = true;
	while (gate->n_waiters > 0)
		waiter_wake(gate->waiters[--gate->n_waiters]);
	pthread_mutex_unlock(&gate->mutex);
}

static void hang(void)
{
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigwait(&set, &number);
}

static enum step_verdict run(struct request *request, void *context)
{
	struct gate *gate = context;

	if (exchange_header(request->exchange, "X-Test-Hang").p)
		hang();
	if (exchange_header(request->exchange, "X-Test-Open").p)
		open_gate(gate);
	if (exchange_header(request->exchange, "X-Test-Wait").p)
		return wait_at(gate, request);
	return STEP_NEXT;
}

int main(int argc, char **argv)
{
	static struct gate gate = {.mutex = PTHREAD_MUTEX_INITIALIZER};
	struct step steps[] = {{"gate", run, &gate}};
	struct daemon_options options = {.argv = argv, .steps = steps, .n_steps = 1};
	sigset_t set;

	if (argc != 3 || strcmp(argv[1], "-c") != 0)
		return 2;
	options.config_path = argv[2];
	/* For sigwait(): in all threads. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	log_init(LOG_JOURNAL_SOCKET);
	return daemon_run(&options);
}
