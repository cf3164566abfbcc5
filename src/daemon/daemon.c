/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/admin.h"
#include "daemon/daemon_state.h"
#include "daemon/duties.h"
#include "daemon/handover.h"
#include "daemon/inheritance.h"
#include "daemon/process_metrics.h"

static int process_up(struct daemon *daemon)
{
	struct rlimit files;

	daemon->lifecycle.started_ns = clock_monotonic_ns();
	signal(SIGPIPE, SIG_IGN);
	/* Every connection is a descriptor; a refusal leaves the soft limit as it is. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	return 0;
}

static int config_up(struct daemon *daemon)
{
	struct buf error;
	int r;

	buf_init(&error, 4096);
	r = config_load(daemon->options->config_path, &daemon->config, &error);
	if (r < 0) {
		log_event(MESSAGE_START_FAILED, "%.*s", (int)error.len,
			  error.data ? error.data : "");
	} else {
		daemon->loaded = config_ref(daemon->config);
		daemon->started_with = config_ref(daemon->config);
		reload_apply_log_level(daemon);
	}
	buf_done(&error);
	return r;
}

static void config_down(struct daemon *daemon)
{
	daemon->started_with = config_unref(daemon->started_with);
	daemon->config = config_unref(daemon->config);
	daemon->loaded = config_unref(daemon->loaded);
}

static struct registry_bounds bounds_of(const struct config_bounds *bounds)
{
	return (struct registry_bounds){bounds->nano, bounds->n};
}

static int metrics_up(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	struct registry_options options = {
		.raw_labels = config->metrics.raw_labels,
		.clean_names = config->metrics.clean_names,
		.exemplars = config->metrics.exemplars,
		.created = config->metrics.created,
		.max_series = (size_t)config->metrics.max_series,
		.max_series_per_family = (size_t)config->metrics.max_series_per_family,
		.bounds =
			{
				[SOURCE_DURATION] = bounds_of(&config->metrics.buckets.duration),
				[SOURCE_GATEWAY] = bounds_of(&config->metrics.buckets.gateway),
				[SOURCE_TOKENS] = bounds_of(&config->metrics.buckets.tokens),
				[SOURCE_FIRST_TOKEN] =
					bounds_of(&config->metrics.buckets.first_token),
				[SOURCE_PER_TOKEN] = bounds_of(&config->metrics.buckets.per_token),
				[SOURCE_PHASE] = bounds_of(&config->metrics.buckets.phase),
				[SOURCE_OVERHEAD] = bounds_of(&config->metrics.buckets.overhead),
			},
	};

	daemon->registry = registry_new(&options);
	if (!daemon->registry || !(daemon->slab = registry_slab_new(daemon->registry)) ||
	    !(daemon->fleet = fleet_new(daemon->registry, daemon->lifecycle.started_ns)) ||
	    !(daemon->process_metrics = process_metrics_new(daemon->registry)))
		return -ENOMEM;
	reload_init(daemon);
	return 0;
}

static void metrics_down(struct daemon *daemon)
{
	daemon->process_metrics = process_metrics_free(daemon->process_metrics);
	daemon->fleet = fleet_free(daemon->fleet);
	daemon->registry = registry_free(daemon->registry);
}

static int control_up(struct daemon *daemon)
{
	daemon->loop = loop_new();
	if (!daemon->loop || !(daemon->mailbox = mailbox_new(daemon->loop)))
		return -ENOMEM;
	daemon->control = (struct control){daemon->mailbox, admin_answer};
	timer_init(&daemon->rebuild, reload_rebuild_due);
	timer_init(&daemon->overdue, shutdown_overdue);
	timer_init(&daemon->progress, shutdown_progress);
	duties_init(daemon);
	return 0;
}

static void control_down(struct daemon *daemon)
{
	daemon->mailbox = mailbox_free(daemon->mailbox);
	daemon->loop = loop_free(daemon->loop);
	buf_done(&daemon->last_reload.error);
}

static int client_up(struct daemon *daemon)
{
	int r = client_global_init();

	if (r < 0)
		return r;
	daemon->client = client_new(daemon->loop);
	return daemon->client ? 0 : -ENOMEM;
}

static void client_down(struct daemon *daemon)
{
	daemon->client = client_free(daemon->client);
	client_global_done();
}

static int history_up(struct daemon *daemon)
{
	daemon->history = history_new(daemon->registry);
	return daemon->history ? history_start(daemon->history, daemon->loop) : -ENOMEM;
}

static void history_down(struct daemon *daemon)
{
	daemon->history = history_free(daemon->history);
}

static void statsd_changed(void *context UNUSED, const char *address, const char *error)
{
	if (error)
		log_event(MESSAGE_STATSD_FAILED,
			  "statsd: cannot reach %s: %s; what is counted is sent later", address,
			  error);
	else
		log_event(MESSAGE_STATSD_REACHED, "statsd: reached %s", address);
}

static int statsd_up(struct daemon *daemon)
{
	struct statsd_inputs inputs = {
		.loop = daemon->loop,
		.registry = daemon->registry,
		.slab = daemon->slab,
		.changed = statsd_changed,
	};

	daemon->statsd = statsd_new(&inputs);
	return daemon->statsd ? statsd_configure(daemon->statsd, daemon->config) : -ENOMEM;
}

/* The workers have ended: nothing more is counted. */
static void statsd_down(struct daemon *daemon)
{
	statsd_finish(daemon->statsd);
	daemon->statsd = statsd_free(daemon->statsd);
}

static size_t count_cpus(void)
{
	cpu_set_t set;

	/* What this process may use, not what the machine has. */
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (size_t)CPU_COUNT(&set);
}

static int worker_up(struct daemon *daemon, struct worker **ret_worker)
{
	struct worker_inputs inputs = {
		.registry = daemon->registry,
		.history = daemon->history,
		.statsd = daemon->statsd,
		.queue = daemon->queue,
		.lifecycle = &daemon->lifecycle,
		.control = &daemon->control,
		.census = daemon->census,
		.listeners = daemon->listeners,
		.n_listeners = daemon->n_listeners,
		.table = daemon->table,
		.steps = daemon->options->steps,
		.n_steps = daemon->options->n_steps,
		.beat_ns = service_watchdog_ns() / 4,
		.main = daemon->mailbox,
		.stopped_accepting = shutdown_worker_stopped_accepting,
		.drained = shutdown_worker_drained,
		.listeners_set = sockets_sweep,
		.context = daemon,
	};

	*ret_worker = worker_new(&inputs);
	if (*ret_worker)
		return 0;
	log_event(MESSAGE_START_FAILED, "cannot start a worker: %s", strerror(errno));
	return -errno;
}

static int workers_up(struct daemon *daemon)
{
	size_t wanted = daemon->config->workers ? (size_t)daemon->config->workers : count_cpus();
	int r = 0;

	daemon->census = census_new();
	daemon->workers = calloc(wanted, sizeof(struct worker *));
	daemon->heartbeats = calloc(wanted, sizeof(uint64_t));
	if (!daemon->census || !daemon->workers || !daemon->heartbeats)
		return -ENOMEM;
	reload_apply_ceilings(daemon, NULL, wanted);
	while (daemon->n_workers < wanted && r == 0) {
		r = worker_up(daemon, &daemon->workers[daemon->n_workers]);
		daemon->n_workers += r == 0;
	}
	return r;
}

static void workers_down(struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->n_workers; i++)
		worker_stop(daemon->workers[i]);
	/* The last mails in it are parts of the workers. */
	daemon->mailbox = mailbox_free(daemon->mailbox);
	for (size_t i = 0; i < daemon->n_workers; i++)
		worker_free(daemon->workers[i]);
	daemon->n_workers = 0;
	free(daemon->workers);
	free(daemon->heartbeats);
	daemon->census = census_free(daemon->census);
}

static void signal_ready(struct watch *watch, uint32_t events UNUSED)
{
	struct daemon *daemon = container_of(watch, struct daemon, signals);
	struct signalfd_siginfo info;

	if (read(watch->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGHUP && info.ssi_signo != SIGUSR2)
		shutdown_begin(daemon);
	else if (daemon_is_stopping(daemon))
		return;
	else if (info.ssi_signo == SIGUSR2)
		handover_begin(daemon);
	else if (!atomic_load_explicit(&daemon->lifecycle.ready, memory_order_relaxed))
		daemon->reload_is_due = true;
	else if (!handover_defers_reload(daemon->handover))
		reload_config(daemon);
}

static int signals_up(struct daemon *daemon)
{
	int fd;
	sigset_t set;

	watch_init(&daemon->signals, signal_ready);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR2);
	/* Before the first thread is made: all inherit it. */
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return -EINVAL;
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd >= 0)
		return loop_watch(daemon->loop, &daemon->signals, fd, EPOLLIN);
	log_event(MESSAGE_START_FAILED, "cannot take signals: %s", strerror(errno));
	return -errno;
}

static void signals_down(struct daemon *daemon)
{
	loop_close(daemon->loop, &daemon->signals);
}

bool daemon_is_stopping(const struct daemon *daemon)
{
	return atomic_load_explicit(&daemon->lifecycle.draining, memory_order_relaxed);
}

static int service_up(struct daemon *daemon)
{
	int r = 0;

	atomic_store_explicit(&daemon->lifecycle.ready, true, memory_order_relaxed);
	if (inheritance_serve(daemon->inheritance))
		r = duties_take(daemon);
	if (r == 0 && daemon->reload_is_due)
		reload_config(daemon);
	return r;
}

static void service_down(struct daemon *daemon)
{
	duties_drop(daemon);
	loop_timer_clear(daemon->loop, &daemon->rebuild);
	loop_timer_clear(daemon->loop, &daemon->overdue);
	loop_timer_clear(daemon->loop, &daemon->progress);
}

/* Down follows only where up was tried, in reverse; a `down` takes what a failed `up` left. */
static const struct stage {
	const char *name;
	int (*up)(struct daemon *daemon);
	void (*down)(struct daemon *daemon);
} stages[] = {
	{"process", process_up, shutdown_end},
	{"configuration", config_up, config_down},
	{"metrics", metrics_up, metrics_down},
	{"control", control_up, control_down},
	{"signals", signals_up, signals_down},
	{"client", client_up, client_down},
	{"backends", reload_backends_up, reload_backends_down},
	{"handover", inheritance_up, handover_down},
	{"history", history_up, history_down},
	{"statsd", statsd_up, statsd_down},
	{"listeners", sockets_open, sockets_close},
	{"workers", workers_up, workers_down},
	{"service", service_up, service_down},
};

int daemon_run(const struct daemon_options *options)
{
	struct daemon daemon = {.options = options};
	size_t reached = 0;
	int r = 0;

	while (reached < ARRAY_SIZE(stages) && r == 0 && !daemon_is_stopping(&daemon)) {
		r = stages[reached].up(&daemon);
		log_debug("%s: %s", stages[reached].name, r < 0 ? strerror(-r) : "up");
		reached++;
	}
	if (r == 0 && reached == ARRAY_SIZE(stages))
		loop_run(daemon.loop);
	else if (r == -ENOMEM)
		log_event(MESSAGE_START_FAILED, "cannot start: out of memory");
	while (reached-- > 0)
		if (stages[reached].down)
			stages[reached].down(&daemon);
	return r < 0 ? 1 : 0;
}

int daemon_check_config(const char *config_path)
{
	struct config *config;
	struct buf error;
	int r;

	buf_init(&error, 4096);
	r = config_load(config_path, &config, &error);
	if (r == 0) {
		r = sockets_check(config, &error);
		config_unref(config);
	}
	if (r < 0)
		fprintf(stderr, "%.*s\n", (int)error.len, error.data ? error.data : "");
	buf_done(&error);
	return r < 0 ? 1 : 0;
}
