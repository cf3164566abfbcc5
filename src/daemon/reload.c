/* SPDX-License-Identifier: Apache-2.0 */
/* What can change while requests run: the configuration, the backends' models and addresses. */
#include <errno.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "daemon/daemon_state.h"
#include "daemon/opening.h"
#include "daemon/status.h"
#include "daemon/succession.h"
#include "http/census.h"
#include "route/queue.h"

/* The lists of a fleet that starts up together come in one table, and later ones at most this
 * often. */
#define FIRST_REBUILD_NS (20 * NS_PER_MSEC)
#define REBUILD_NS       NS_PER_SEC

static const struct series *result_series(struct daemon *daemon, const char *result)
{
	struct str value = str_of(result);

	return registry_series(daemon->registry, METRIC_CONFIG_RELOADS, &value);
}

void reload_init(struct daemon *daemon)
{
	buf_init(&daemon->last_reload.error, 4096);
	daemon->reloads.succeeded = result_series(daemon, "success");
	daemon->reloads.failed = result_series(daemon, "failure");
}

/* One that every worker will have room for: a policy that only some of them follow is none. */
static struct route_table *build_table(struct daemon *daemon, struct config *config)
{
	struct route_table_inputs inputs = {
		.config = config,
		.backends = daemon->backends,
		.registry = daemon->registry,
		.previous = daemon->table,
	};

	for (size_t i = 0; i < daemon->n_workers; i++)
		if (worker_expect_route_table(daemon->workers[i]) < 0)
			return NULL;
	return route_table_build(&inputs);
}

/* Not part of the table: requests that began with another one use the same places. */
static void set_places(const struct route_table *table)
{
	for (size_t i = 0; i < table->config->n_backends; i++)
		atomic_store_explicit(&table->backends[i]->places,
				      (int64_t)table->config->backends[i].max_concurrent,
				      memory_order_relaxed);
}

static void put_in_force(struct daemon *daemon, struct route_table *table)
{
	set_places(table);
	succession_hand_on(daemon->table, table);
	route_table_unref(daemon->table);
	daemon->table = table;
	fleet_set(daemon->fleet, table);
	for (size_t i = 0; i < daemon->n_workers; i++)
		worker_set_route_table(daemon->workers[i], table);
	daemon->rebuilt_ns = loop_now_ns(daemon->loop);
	(void)queue_review(daemon->queue);
	if (daemon->awaits_new_models)
		loop_timer_clear(daemon->loop, &daemon->rebuild);
	daemon->awaits_new_models = false;
}

/* Puts a new one in force everywhere. -ENOMEM keeps the old one. */
static int renew_table(struct daemon *daemon)
{
	struct route_table *table = build_table(daemon, daemon->config);

	if (!table)
		return -ENOMEM;
	put_in_force(daemon, table);
	return 0;
}

void reload_rebuild_due(struct timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, rebuild);

	if (renew_table(daemon) == 0)
		return;
	log_error("no memory for the new models; requests go on with the old ones");
	/* The timer that has just fired left room for itself. */
	(void)!loop_timer_set(daemon->loop, timer, loop_now_ns(daemon->loop) + REBUILD_NS);
}

static void models_changed(void *context)
{
	struct daemon *daemon = context;
	uint64_t now = loop_now_ns(daemon->loop);
	uint64_t due = now + FIRST_REBUILD_NS;

	if (daemon->awaits_new_models ? !prober_has_settled(daemon->prober)
				      : timer_is_set(&daemon->rebuild))
		return;
	if (daemon->rebuilt_ns + REBUILD_NS > due && daemon->n_rebuilds++ > 0)
		due = daemon->rebuilt_ns + REBUILD_NS;
	if (loop_timer_set(daemon->loop, &daemon->rebuild, due) < 0)
		log_error("no memory for the new models; requests go on with the old ones");
}

void reload_apply_log_level(const struct daemon *daemon)
{
	log_set_json(daemon->config->log.json);
	log_set_level(daemon->options->has_log_level ? daemon->options->log_level
						     : daemon->config->log.level);
}

/* Beside connections, for everything else that takes a descriptor, and for both reserves, which
 * worker.c keeps connections to backends away from. A backend has its probe's connection. */
#define FILES_BESIDE      (20 + 2 * CENSUS_RESERVE)
#define FILES_PER_WORKER  6
#define FILES_PER_BACKEND 1
/* Fewer would serve nobody. */
#define CONNECTIONS_MIN 8

/* Each connection may need another one to a backend. */
static uint64_t connections_possible(size_t n_workers, size_t n_backends)
{
	uint64_t beside =
		FILES_BESIDE + FILES_PER_WORKER * n_workers + FILES_PER_BACKEND * n_backends;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	if (files.rlim_cur < beside + 2 * CONNECTIONS_MIN)
		return CONNECTIONS_MIN;
	return (files.rlim_cur - beside) / 2;
}

void reload_apply_ceilings(struct daemon *daemon, const struct config *before, size_t n_workers)
{
	const struct config *config = daemon->config;
	uint64_t wanted = config->limits.max_connections;
	uint64_t possible = connections_possible(n_workers, config->n_backends);
	bool is_said = before && before->limits.max_connections == wanted;
	struct census_ceilings ceilings = {
		.connections = wanted < possible ? wanted : possible,
		.per_address = config->limits.max_connections_per_address,
		.body_bytes = config->limits.max_bodies,
	};

	if (wanted > possible && !is_said)
		log_warning("limits.max_connections is %llu, the limit of open files allows "
			    "%llu; raise LimitNOFILE= of the service, or ulimit -n",
			    (unsigned long long)wanted, (unsigned long long)possible);
	/* A body of limits.max_body always finds room, with its copy, while there is no other. */
	if (ceilings.body_bytes < 2 * config->limits.max_body)
		ceilings.body_bytes = 2 * config->limits.max_body;
	census_set_ceilings(daemon->census, &ceilings);
}

static void warn_of_restart_options(const struct config *before, const struct config *after)
{
	struct buf names;

	buf_init(&names, 4096);
	if (config_restart_differences(before, after, &names) > 0)
		log_event(MESSAGE_RESTART_NEEDED, "only a restart puts it in force: %.*s",
			  (int)names.len, names.data);
	buf_done(&names);
}

/*
 * New backends that have not been asked yet may be all that a model is to have. Until they have
 * been, requests are routed as before: nothing is lost in between. Policies do not wait.
 */
static bool wait_for_models(struct daemon *daemon, const struct config *config,
			    const struct route_table *table)
{
	uint64_t latest = clock_monotonic_ns() + config->health.timeout + REBUILD_NS;

	return config->routing.n_policies == 0 && !prober_has_settled(daemon->prober) &&
	       !route_table_keeps_models(table, daemon->table) &&
	       loop_timer_set(daemon->loop, &daemon->rebuild, latest) == 0;
}

int reload_adopt_addresses(struct daemon *daemon)
{
	struct config *config = address_book_expand(daemon->address_book);
	struct route_table *table = NULL;

	if (!config)
		return -ENOMEM;
	if (succession_introduce(daemon, config) == 0 &&
	    prober_configure(daemon->prober, config) == 0)
		table = build_table(daemon, config);
	if (!table) {
		/* It knew the old set a moment ago; should even that fail, the next probes tell. */
		if (succession_introduce(daemon, daemon->config) == 0)
			(void)!prober_configure(daemon->prober, daemon->config);
		config_unref(config);
		return -ENOMEM;
	}
	config_unref(daemon->config);
	daemon->config = config;
	if (wait_for_models(daemon, config, table)) {
		route_table_unref(table);
		daemon->awaits_new_models = true;
	} else {
		put_in_force(daemon, table);
	}
	backends_keep_only(daemon->backends, config);
	return 0;
}

static void addresses_changed(void *context, const struct backend_config *backend,
			      size_t n_addresses)
{
	struct daemon *daemon = context;
	const struct log_field field = {NEXUSD_FIELD_BACKEND, backend->name};

	if (daemon_is_stopping(daemon))
		return;
	if (reload_adopt_addresses(daemon) < 0)
		log_error("no memory for the addresses of backend %s; "
			  "requests go on with the old ones",
			  backend->name);
	else if (n_addresses == 0)
		log_event_with(MESSAGE_BACKEND_ADDRESSES, &field, 1,
			       "backend %s: its host has one address now", backend->name);
	else
		log_event_with(MESSAGE_BACKEND_ADDRESSES, &field, 1,
			       "backend %s: its host has %zu addresses now, each a backend",
			       backend->name, n_addresses);
}

static int watch_addresses(struct daemon *daemon)
{
	struct address_book_inputs inputs = {daemon->loop, addresses_changed, daemon};

	daemon->address_book = address_book_new(&inputs);
	if (!daemon->address_book)
		return -ENOMEM;
	return address_book_configure(daemon->address_book, daemon->loaded);
}

static void health_changed(void *context)
{
	struct daemon *daemon = context;

	(void)queue_review(daemon->queue);
}

int reload_backends_up(struct daemon *daemon)
{
	struct prober_inputs inputs = {
		.loop = daemon->loop,
		.client = daemon->client,
		.registry = daemon->registry,
		.slab = daemon->slab,
		.models_changed = models_changed,
		.health_changed = health_changed,
		.context = daemon,
	};

	daemon->backends = inputs.backends = backends_new();
	daemon->queue = queue_new();
	if (!daemon->backends || !daemon->queue || !(daemon->prober = prober_new(&inputs)) ||
	    watch_addresses(daemon) < 0 || succession_introduce(daemon, daemon->config) < 0 ||
	    prober_configure(daemon->prober, daemon->config) < 0)
		return -ENOMEM;
	return renew_table(daemon);
}

void reload_backends_down(struct daemon *daemon)
{
	daemon->address_book = address_book_free(daemon->address_book);
	daemon->prober = prober_free(daemon->prober);
	daemon->table = route_table_unref(daemon->table);
	daemon->queue = queue_free(daemon->queue);
	daemon->backends = backends_free(daemon->backends);
}

/* Takes `config` over, but not when it fails. */
static int adopt(struct daemon *daemon, struct config *config)
{
	struct config *before = daemon->loaded;

	if (address_book_configure(daemon->address_book, config) < 0)
		return -ENOMEM;
	if (reload_adopt_addresses(daemon) < 0) {
		(void)!address_book_configure(daemon->address_book, before);
		return -ENOMEM;
	}
	daemon->loaded = config;
	reload_apply_log_level(daemon);
	reload_apply_ceilings(daemon, before, daemon->n_workers);
	if (statsd_configure(daemon->statsd, config) < 0)
		log_error("no memory for statsd; it is switched off");
	warn_of_restart_options(daemon->started_with, config);
	config_unref(before);
	return 0;
}

/* The same with its listeners, which are opened before anything changes. */
static int adopt_all(struct daemon *daemon, struct config *config, struct buf *error)
{
	struct opening opening;
	int r = sockets_prepare(daemon, config, error, &opening);

	if (r < 0)
		return r;
	r = adopt(daemon, config);
	if (r < 0)
		opening_abandon(&opening);
	else
		sockets_replace(daemon, &opening);
	return r;
}

static void report_failure(struct daemon *daemon, const struct buf *error)
{
	slab_add(daemon->slab, daemon->reloads.failed, 1);
	log_event(MESSAGE_RELOAD_FAILED, "%.*s (the running configuration stays in force)",
		  (int)error->len, error->len ? error->data : "");
}

void reload_config(struct daemon *daemon)
{
	struct config *config = NULL;
	struct buf *error = &daemon->last_reload.error;
	char status[STATUS_BYTES];
	int r;

	service_reloading(&daemon->service);
	buf_clear(error);
	r = config_load(daemon->options->config_path, &config, error);
	if (r == 0) {
		r = adopt_all(daemon, config, error);
		if (r < 0)
			config_unref(config);
		/* A failure to say so leaves the line empty, not unsaid. */
		if (r == -ENOMEM && error->len == 0)
			(void)!buf_printf(error, "out of memory");
	}
	daemon->last_reload.msec = clock_realtime_msec();
	daemon->last_reload.result = r;
	if (r < 0) {
		report_failure(daemon, error);
	} else {
		slab_add(daemon->slab, daemon->reloads.succeeded, 1);
		log_event(MESSAGE_RELOADED, "configuration reloaded");
	}
	service_ready(&daemon->service, status_text(daemon, status));
}
