/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between fork() and exec() only what is safe in a signal handler: other threads may have held any
 * lock. Everything else is prepared before.
 */
#include "daemon/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"

enum { FIRST_FD = 3, NAMES_MAX_BYTES = 65536, PID_DIGITS = 10 };

#define LISTEN_PID "LISTEN_PID="

struct launch {
	char *const *argv;
	const struct service_socket *sockets;
	size_t n;
	int *copies; /* of the sockets; room for the child */
	char **environment;
	char fds[32], listen_pid[sizeof(LISTEN_PID) + PID_DIGITS], *names;
	int report_fds[2];
};

/* What the new process says of itself; the pipe is closed when the program runs. */
struct report {
	pid_t pid;
	int error;
};

static void write_report(int fd, const struct report *report)
{
	/* Smaller than a pipe's buffer. Whoever should read it may be gone. */
	(void)!write(fd, report, sizeof(*report));
}

static void put_pid(char *text, pid_t pid)
{
	size_t at = sizeof(LISTEN_PID) - 1;
	pid_t unit = 1;

	while (pid / unit >= 10)
		unit *= 10;
	for (; unit > 0; unit /= 10)
		text[at++] = (char)('0' + pid / unit % 10);
	text[at] = '\0';
}

/* The sockets to 3, 4, ...; first out of the way of each other. */
static int place_sockets(const struct launch *launch)
{
	int first_free = FIRST_FD + (int)launch->n;

	for (size_t i = 0; i < launch->n; i++) {
		launch->copies[i] = fcntl(launch->sockets[i].fd, F_DUPFD_CLOEXEC, first_free);
		if (launch->copies[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < launch->n; i++)
		if (dup2(launch->copies[i], FIRST_FD + (int)i) < 0)
			return -errno;
	/* Not every library says close-on-exec by itself. */
	return close_range((unsigned)first_free, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

static _Noreturn void run_program(struct launch *launch)
{
	struct report report = {.pid = getpid()};
	int fd = fcntl(launch->report_fds[1], F_DUPFD_CLOEXEC, FIRST_FD + (int)launch->n);

	write_report(fd, &report);
	put_pid(launch->listen_pid, report.pid);
	report.error = -place_sockets(launch);
	if (report.error == 0) {
		execvpe(launch->argv[0], launch->argv, launch->environment);
		report.error = errno;
	}
	write_report(fd, &report);
	_exit(127);
}

/* In between, and gone at once: its child is nobody's then. */
static _Noreturn void run_parent(struct launch *launch)
{
	struct report report = {.pid = fork()};

	if (report.pid == 0)
		run_program(launch);
	report.error = report.pid < 0 ? errno : 0;
	if (report.error)
		write_report(launch->report_fds[1], &report);
	_exit(0);
}

static bool is_inherited_variable(const char *entry)
{
	/* The new process is the one that the watchdog watches, if this one is. */
	return strncmp(entry, "WATCHDOG_PID=", strlen("WATCHDOG_PID=")) != 0 ||
	       service_watchdog_ns() == 0;
}

static int prepare_environment(struct launch *launch)
{
	size_t n = 0, n_kept = 0;

	while (environ[n])
		n++;
	launch->environment = calloc(n + 4, sizeof(char *));
	if (!launch->environment)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (is_inherited_variable(environ[i]))
			launch->environment[n_kept++] = environ[i];
	snprintf(launch->fds, sizeof(launch->fds), "LISTEN_FDS=%zu", launch->n);
	snprintf(launch->listen_pid, sizeof(launch->listen_pid), LISTEN_PID);
	launch->environment[n_kept++] = launch->fds;
	launch->environment[n_kept++] = launch->listen_pid;
	launch->environment[n_kept++] = launch->names;
	return 0;
}

static int prepare_names(struct launch *launch)
{
	struct buf text;
	size_t length;
	int r;

	buf_init(&text, NAMES_MAX_BYTES);
	r = buf_printf(&text, "LISTEN_FDNAMES=");
	for (size_t i = 0; i < launch->n && r == 0; i++)
		r = buf_printf(&text, "%s%s", i ? ":" : "", launch->sockets[i].name);
	if (r == 0 && !(launch->names = buf_take(&text, &length)))
		r = -ENOMEM;
	buf_done(&text);
	return r;
}

static int wait_for_program(const struct launch *launch, pid_t parent, pid_t *ret_pid)
{
	struct report report, last = {.error = ECHILD};

	while (waitpid(parent, NULL, 0) < 0 && errno == EINTR)
		;
	while (read(launch->report_fds[0], &report, sizeof(report)) == sizeof(report))
		last = report;
	if (last.error == 0)
		*ret_pid = last.pid;
	return -last.error;
}

static int run(struct launch *launch, pid_t *ret_pid)
{
	pid_t parent;
	int r;

	if (pipe2(launch->report_fds, O_CLOEXEC) < 0)
		return -errno;
	parent = fork();
	if (parent == 0)
		run_parent(launch);
	r = parent < 0 ? -errno : 0;
	close(launch->report_fds[1]);
	if (r == 0)
		r = wait_for_program(launch, parent, ret_pid);
	close(launch->report_fds[0]);
	return r;
}

int spawn_with_sockets(char *const *argv, const struct service_socket *sockets, size_t n,
		       pid_t *ret_pid)
{
	struct launch launch = {.argv = argv, .sockets = sockets, .n = n};
	int r = prepare_names(&launch);

	if (r == 0)
		r = prepare_environment(&launch);
	if (r == 0 && !(launch.copies = calloc(n + 1, sizeof(*launch.copies))))
		r = -ENOMEM;
	if (r == 0)
		r = run(&launch, ret_pid);
	free(launch.copies);
	free(launch.environment);
	free(launch.names);
	return r;
}
