/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/faults/faults.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CALLS_MAX = 1 << 20,
	PATHS_MAX = 1 << 14,
	PATH_FRAMES = 5, /* calls that agree in so many callers are of one path */
	HANG_SECONDS = 40,
	EXIT_REPORT = 55, /* of the sanitizers */
	FAILURES_MAX = 8,
	OUTPUT_TAIL = 6000,
};

/* What the runs of a program share. */
struct runs {
	struct faults_page page;
	uint64_t paths[CALLS_MAX]; /* of the first run's calls */
	size_t firsts[PATHS_MAX];  /* the first call of each path */
	size_t n_firsts;
	int output_fd;
};

static struct faults_page unused, *page = &unused;
static uint64_t *recorded; /* struct runs' paths, in the first run */
static sigset_t child_ended;
static pthread_t main_thread; /* the others of a test are its servers */
static bool is_run;
static pthread_mutex_t naming = PTHREAD_MUTEX_INITIALIZER; /* around page->name */
static bool is_program; /* not a test: says why it ends, and goes on while nothing works */

pid_t __real_fork(void);
int __real_open(const char *path, int flags, ...);
void __real_abort(void) __attribute__((noreturn));
void __wrap_abort(void) __attribute__((noreturn));
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
	return "exitcode=55";
}

const char *__ubsan_default_options(void)
{
	return "exitcode=55";
}

static uint64_t caller_path(void)
{
	void *frames[PATH_FRAMES + 2] = {NULL};
	uint64_t path = 14695981039346656037u; /* FNV-1a, of words */

	backtrace(frames, PATH_FRAMES + 2);
	for (size_t i = 2; i < PATH_FRAMES + 2; i++)
		path = (path ^ (uintptr_t)frames[i]) * 1099511628211u;
	return path;
}

bool faults_due(const char *name)
{
	uint64_t fail_at = page->fail_at, n;

	if (!fail_at || (is_run && !is_program && !pthread_equal(pthread_self(), main_thread)))
		return false;
	n = ++page->n_calls;
	if (recorded && n <= CALLS_MAX)
		recorded[n - 1] = caller_path();
	if (n != fail_at && (n < fail_at || !page->lasting))
		return false;
	pthread_mutex_lock(&naming);
	snprintf(page->name, sizeof(page->name), "%s", name);
	pthread_mutex_unlock(&naming);
	return true;
}

void faults_give_up(void)
{
	if (is_run && page->fail_at && page->n_calls >= page->fail_at)
		exit(1);
}

void __wrap_abort(void)
{
	faults_give_up();
	__real_abort();
}

void faults_count(void)
{
	page->n_calls = 0;
	page->fail_at = UINT64_MAX;
}

uint64_t faults_counted(void)
{
	page->fail_at = 0;
	return page->n_calls;
}

static void *map_shared(size_t bytes, int fd)
{
	int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		_exit(2);
	}
	return memory;
}

static void share_page(const char *path)
{
	int fd = __real_open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		_exit(2);
	}
	page = map_shared(sizeof(*page), fd);
	close(fd);
}

/* What the compiler's runtimes do at the end is not nexusd's. */
static void end_faults(void)
{
	page->fail_at = 0;
}

static void become_run(struct runs *runs)
{
	is_run = true;
	atexit(end_faults);
	if (runs->page.fail_at == UINT64_MAX)
		recorded = runs->paths;
	unsetenv("NEXUSD_TEST_EACH_FAULT");
	dup2(runs->output_fd, STDOUT_FILENO);
	dup2(runs->output_fd, STDERR_FILENO);
	sigprocmask(SIG_UNBLOCK, &child_ended, NULL);
}

/* Like fork(2); in the parent, *ret_status is what waitpid(2) told. */
static bool fork_run(struct runs *runs, uint64_t fail_at, bool lasting, int *ret_status)
{
	pid_t pid;

	runs->page.fail_at = fail_at;
	runs->page.lasting = lasting;
	runs->page.n_calls = 0;
	if (ftruncate(runs->output_fd, 0) < 0 || lseek(runs->output_fd, 0, SEEK_SET) < 0)
		_exit(2);
	fflush(stdout);
	pid = __real_fork();
	if (pid == 0) {
		become_run(runs);
		return true;
	}
	if (pid > 0 && sigtimedwait(&child_ended, NULL, &(struct timespec){HANG_SECONDS, 0}) < 0)
		kill(pid, SIGALRM);
	if (pid < 0 || waitpid(pid, ret_status, 0) < 0) {
		perror("fork");
		_exit(2);
	}
	return false;
}

/* What is wrong with how a run ended, or NULL. */
static const char *judge(const struct runs *runs, int status)
{
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status));
	if (WEXITSTATUS(status) == EXIT_REPORT)
		return "the sanitizer reports";
	if (is_program && WEXITSTATUS(status) != 0 && lseek(runs->output_fd, 0, SEEK_END) == 0)
		return "fails without a word";
	return NULL;
}

static void show_output(const struct runs *runs)
{
	static char text[OUTPUT_TAIL + 1];
	off_t n = lseek(runs->output_fd, 0, SEEK_END);
	ssize_t got =
		pread(runs->output_fd, text, OUTPUT_TAIL, n > OUTPUT_TAIL ? n - OUTPUT_TAIL : 0);
	char *rest = text;

	text[got > 0 ? got : 0] = '\0';
	for (char *line; (line = strsep(&rest, "\n"));)
		printf("#   %s\n", line);
}

static bool is_new_path(const struct runs *runs, uint64_t path)
{
	for (size_t i = 0; i < runs->n_firsts; i++)
		if (runs->paths[runs->firsts[i]] == path)
			return false;
	return runs->n_firsts < PATHS_MAX;
}

static void find_firsts(struct runs *runs, size_t n_calls)
{
	for (size_t i = 0; i < n_calls; i++)
		if (is_new_path(runs, runs->paths[i]))
			runs->firsts[runs->n_firsts++] = i;
}

/* $NEXUSD_TEST_FAULT_PATHS of them, spread evenly, when there are more; returns how many. */
static size_t choose(struct runs *runs)
{
	const char *limit = getenv("NEXUSD_TEST_FAULT_PATHS");
	size_t n = limit ? strtoul(limit, NULL, 10) : 0;

	if (n == 0 || n >= runs->n_firsts)
		return runs->n_firsts;
	for (size_t i = 0; i < n; i++)
		runs->firsts[i] = runs->firsts[i * runs->n_firsts / n];
	return n;
}

/* false: the program does not end well even when nothing fails. */
static bool report_first(const struct runs *runs, int status)
{
	if (status == 0 && runs->page.n_calls <= CALLS_MAX)
		return true;
	show_output(runs);
	printf("not ok 1 - %s: %llu calls, status %d\n1..1\n", program_invocation_short_name,
	       (unsigned long long)runs->page.n_calls, status);
	return false;
}

/* Whether all is well. */
static bool report(const struct runs *runs, size_t call, bool lasting, int status)
{
	const char *wrong = judge(runs, status);

	if (!wrong)
		return true;
	printf("# call %zu%s, %s: %s\n", call, lasting ? " and all later ones" : "",
	       runs->page.name, wrong);
	show_output(runs);
	return false;
}

/* Returns in each run, to main(); ends the program after the last one. */
static void run_each(struct runs *runs)
{
	/* Tests tend to wait for what never comes then; programs must not. */
	size_t n_ways = is_program ? 2 : 1, n_calls, n_paths, n_failures = 0;
	int status;

	if (fork_run(runs, UINT64_MAX, false, &status))
		return;
	n_calls = runs->page.n_calls;
	if (!report_first(runs, status))
		exit(1);
	find_firsts(runs, n_calls);
	n_paths = choose(runs);
	for (size_t i = 0; i < n_paths * n_ways && n_failures < FAILURES_MAX; i++) {
		size_t call = runs->firsts[i / n_ways] + 1;
		bool lasting = i % n_ways;

		if (fork_run(runs, call, lasting, &status))
			return;
		n_failures += !report(runs, call, lasting, status);
	}
	printf("%s 1 - %s: %zu of %zu paths to %zu calls fail\n1..1\n",
	       n_failures ? "not ok" : "ok", program_invocation_short_name, n_paths, runs->n_firsts,
	       n_calls);
	fflush(stdout);
	_exit(n_failures > 0);
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("NEXUSD_TEST_FAULT_PAGE");
	const char *each = getenv("NEXUSD_TEST_EACH_FAULT");
	struct runs *runs;

	if (path)
		share_page(path);
	if (!each)
		return;
	is_program = strcmp(each, "program") == 0;
	runs = map_shared(sizeof(*runs), -1);
	sigemptyset(&child_ended);
	sigaddset(&child_ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_ended, NULL);
	runs->output_fd = memfd_create("output", MFD_CLOEXEC);
	page = &runs->page;
	main_thread = pthread_self();
	run_each(runs);
}
