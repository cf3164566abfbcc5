/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/process_metrics.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define DESCRIPTORS "/proc/self/fd"

/* proc_pid_stat(5), counted as there. */
enum stat_field { STAT_THREADS = 20, STAT_VIRTUAL_BYTES = 23, STAT_PAGES = 24 };

enum { STAT_MAX_BYTES = 1024 };

/* 0 or the length. */
static size_t read_stat(char text[static STAT_MAX_BYTES])
{
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, text, STAT_MAX_BYTES);
	close(fd);
	return n > 0 ? (size_t)n : 0;
}

/* False when it cannot be known. */
static bool stat_number(enum stat_field field, uint64_t *ret_value)
{
	char text[STAT_MAX_BYTES];
	struct str rest = {text, read_stat(text)};
	const char *name_end = rest.n ? memrchr(rest.p, ')', rest.n) : NULL;

	/* The second field is the name, with whatever it contains; a blank and the third follow. */
	if (!name_end)
		return false;
	rest.n -= (size_t)(name_end - rest.p);
	rest.p = name_end;
	for (int i = 2; i < (int)field; i++)
		str_split(&rest, ' ');
	return str_to_u64(str_split(&rest, ' '), ret_value) == 0;
}

static void emit_stat(enum stat_field field, uint64_t unit, provider_emit_fn *emit, void *emitter)
{
	uint64_t value;

	if (stat_number(field, &value))
		emit(emitter, NULL, (int64_t)(value * unit));
}

static void collect_threads(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	emit_stat(STAT_THREADS, 1, emit, emitter);
}

static void collect_virtual_memory(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	emit_stat(STAT_VIRTUAL_BYTES, 1, emit, emitter);
}

static void collect_resident_memory(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	emit_stat(STAT_PAGES, (uint64_t)sysconf(_SC_PAGESIZE), emit, emitter);
}

static void collect_cpu(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	struct timespec t;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0)
		emit(emitter, NULL, (int64_t)t.tv_sec * (int64_t)NS_PER_SEC + t.tv_nsec);
}

/* 0 when the kernel does not say. */
static int64_t count_listed_descriptors(void)
{
	DIR *folder = opendir(DESCRIPTORS);
	int64_t n = 0;

	if (!folder)
		return 0;
	for (const struct dirent *entry; (entry = readdir(folder));)
		n += entry->d_name[0] != '.';
	closedir(folder);
	return n - 1; /* its own */
}

static void collect_open_fds(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	struct stat status;
	int64_t n = 0;

	/* From Linux 6.2 on the folder's size says it, which takes no descriptor and no longer
	 * for many of them. */
	if (stat(DESCRIPTORS, &status) == 0)
		n = status.st_size;
	if (n == 0)
		n = count_listed_descriptors();
	if (n > 0)
		emit(emitter, NULL, n);
}

static void collect_max_fds(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	struct rlimit limit;

	/* Where there is no limit, Prometheus' own clients say -1. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		emit(emitter, NULL, limit.rlim_cur == RLIM_INFINITY ? -1 : (int64_t)limit.rlim_cur);
}

static const struct {
	enum metric metric;
	void (*collect)(void *context, provider_emit_fn *emit, void *emitter);
} gauges[] = {
	{METRIC_PROCESS_CPU, collect_cpu},
	{METRIC_PROCESS_RESIDENT_MEMORY, collect_resident_memory},
	{METRIC_PROCESS_VIRTUAL_MEMORY, collect_virtual_memory},
	{METRIC_PROCESS_OPEN_FDS, collect_open_fds},
	{METRIC_PROCESS_MAX_FDS, collect_max_fds},
	{METRIC_PROCESS_THREADS, collect_threads},
};

int process_metrics_provide(struct registry *registry)
{
	for (size_t i = 0; i < ARRAY_SIZE(gauges); i++)
		if (registry_provide(registry, gauges[i].metric, gauges[i].collect, NULL) < 0)
			return -ENOMEM;
	return 0;
}
