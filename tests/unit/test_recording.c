/* SPDX-License-Identifier: Apache-2.0 */
/* Recording a request takes no lock and no memory. The linker leads the calls here (--wrap). */
#include "tests/recording.h"

#include <pthread.h>

#include "base/log.h"
#include "tests/faults/faults.h"
#include "tests/tap.h"

static struct {
	bool watching;
	uint64_t allocations, locks;
} calls;

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	calls.locks += calls.watching;
	return __real_pthread_mutex_lock(mutex);
}

static void watch(struct recording *recording, unsigned status, unsigned n)
{
	calls.locks = 0;
	calls.watching = true;
	faults_count();
	for (unsigned i = 0; i < n; i++)
		recording_run(recording, status);
	calls.allocations = faults_counted();
	calls.watching = false;
}

int main(void)
{
	const struct registry_options options = {.max_series = 1000, .max_series_per_family = 100};
	struct registry *registry = registry_new(&options);
	static const unsigned statuses[] = {200, 503};
	struct recording recording;

	if (!registry)
		return 99;
	log_set_level(LOG_LEVEL_ERROR); /* else every failed request is told of */
	recording_init(&recording, registry, "llama3.1:70b", "gpu-1");
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		watch(&recording, statuses[i], 1);
		ok(calls.locks > 0 && calls.allocations > 0,
		   "the first %u makes its series: %llu locks, %llu allocations", statuses[i],
		   (unsigned long long)calls.locks, (unsigned long long)calls.allocations);
		watch(&recording, statuses[i], 1000);
		is_u64(calls.locks, 0, "1000 more take no lock");
		is_u64(calls.allocations, 0, "and no memory");
	}
	registry_free(registry);
	return tap_done();
}
