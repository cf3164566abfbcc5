/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/process_metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define DESCRIPTORS "/proc/self/fd"
#define MEMORY      "/proc/self/statm"
#define THREADS     "/proc/self/task"

/* proc_pid_statm(5): its fields, in pages. /proc/self/stat has them, too, but takes the kernel ten
 * times as long. */
enum memory { MEMORY_VIRTUAL, MEMORY_RESIDENT };

enum { MEMORY_MAX_BYTES = 256 };

/* Kept open: opening it takes longer than reading it, and may need the last descriptor. */
struct process_metrics {
	int memory_fd; /* -1: there is no /proc */
};

static void emit_memory(const struct process_metrics *metrics, enum memory field,
			provider_emit_fn *emit, void *emitter)
{
	char text[MEMORY_MAX_BYTES];
	ssize_t n = pread(metrics->memory_fd, text, sizeof(text), 0);
	struct str rest = {text, n > 0 ? (size_t)n : 0};
	uint64_t pages;

	if (field == MEMORY_RESIDENT)
		str_split(&rest, ' ');
	if (str_to_u64(str_split(&rest, ' '), &pages) == 0)
		emit(emitter, NULL, (int64_t)pages * sysconf(_SC_PAGESIZE));
}

static void collect_virtual_memory(void *context, provider_emit_fn *emit, void *emitter)
{
	emit_memory(context, MEMORY_VIRTUAL, emit, emitter);
}

static void collect_resident_memory(void *context, provider_emit_fn *emit, void *emitter)
{
	emit_memory(context, MEMORY_RESIDENT, emit, emitter);
}

static void collect_threads(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	struct stat status;

	/* A folder has a link for each that it contains, its parent's and its own. */
	if (stat(THREADS, &status) == 0 && status.st_nlink > 2)
		emit(emitter, NULL, (int64_t)status.st_nlink - 2);
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

static void collect_log_lost(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	emit(emitter, NULL, (int64_t)log_lost_total());
}

static const struct {
	enum metric metric;
	void (*collect)(void *context, provider_emit_fn *emit, void *emitter);
} gauges[] = {
	{METRIC_LOG_LOST, collect_log_lost},
	{METRIC_PROCESS_CPU, collect_cpu},
	{METRIC_PROCESS_RESIDENT_MEMORY, collect_resident_memory},
	{METRIC_PROCESS_VIRTUAL_MEMORY, collect_virtual_memory},
	{METRIC_PROCESS_OPEN_FDS, collect_open_fds},
	{METRIC_PROCESS_MAX_FDS, collect_max_fds},
	{METRIC_PROCESS_THREADS, collect_threads},
};

struct process_metrics *process_metrics_new(struct registry *registry)
{
	struct process_metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return NULL;
	metrics->memory_fd = open(MEMORY, O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(gauges); i++)
		if (registry_provide(registry, gauges[i].metric, gauges[i].collect, metrics) < 0)
			return process_metrics_free(metrics);
	return metrics;
}

struct process_metrics *process_metrics_free(struct process_metrics *metrics)
{
	if (metrics && metrics->memory_fd >= 0)
		close(metrics->memory_fd);
	free(metrics);
	return NULL;
}
