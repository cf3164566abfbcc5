/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/admin.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jsonx.h"
#include "base/version.h"
#include "daemon/daemon_state.h"

enum { NAMES_MAX_BYTES = 4096 };

static bool is_ready(const struct daemon *daemon)
{
	return atomic_load_explicit(&daemon->lifecycle.ready, memory_order_relaxed);
}

static const char *state_of(const struct daemon *daemon)
{
	if (daemon_is_stopping(daemon))
		return "draining";
	return is_ready(daemon) ? "serving" : "starting";
}

static void write_listeners(struct jsonw *w, const struct daemon *daemon)
{
	static const char *const names[] = {"api", "metrics", "admin"};

	jsonw_array(w, "listeners");
	for (size_t i = 0; i < daemon->n_listeners; i++) {
		jsonw_object(w, NULL);
		jsonw_string(w, "address", str_of(daemon->listeners[i]->address));
		jsonw_array(w, "faces");
		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			if (daemon->listeners[i]->faces >> k & 1)
				jsonw_string(w, NULL, str_of(names[k]));
		jsonw_array_end(w);
		jsonw_bool(w, "tls", daemon->listeners[i]->tls);
		jsonw_object_end(w);
	}
	jsonw_array_end(w);
}

/* The options of which the configuration has other values than those in force. */
static void write_restart_needed(struct jsonw *w, const struct daemon *daemon)
{
	struct buf names;
	struct str rest;

	buf_init(&names, NAMES_MAX_BYTES);
	/* What does not fit is not told. */
	(void)!config_restart_differences(daemon->started_with, daemon->config, &names);
	rest = buf_str(&names);
	jsonw_array(w, "restart_needed");
	while (rest.p)
		jsonw_string(w, NULL, str_trim(str_split(&rest, ',')));
	jsonw_array_end(w);
	buf_done(&names);
}

static void write_config(struct jsonw *w, const struct daemon *daemon)
{
	jsonw_object(w, "config");
	jsonw_array(w, "files");
	for (size_t i = 0; i < daemon->config->n_files; i++)
		jsonw_string(w, NULL, str_of(daemon->config->files[i]));
	jsonw_array_end(w);
	write_restart_needed(w, daemon);
	if (daemon->last_reload.msec) {
		const struct buf *error = &daemon->last_reload.error;

		jsonw_object(w, "last_reload");
		jsonw_u64(w, "time", daemon->last_reload.msec / 1000);
		jsonw_bool(w, "success", daemon->last_reload.result == 0);
		jsonw_string(w, "error", error->len ? buf_str(error) : (struct str){0});
		jsonw_object_end(w);
	}
	jsonw_object_end(w);
}

static void write_fleet(struct jsonw *w, const struct daemon *daemon)
{
	const struct route_table *table = daemon->table;
	const struct backend *leaving;
	size_t total = 0, healthy = 0, draining = 0, held = 0;
	int64_t pending = 0;

	for (size_t i = 0; i < table->config->n_backends; i++) {
		const struct backend *backend = table->backends[i];

		if (!backend_counts(backend, &table->config->backends[i]))
			continue;
		total++;
		healthy += backend_is_healthy(backend);
		draining += backend_is_draining(backend);
		held += backend_held_ns(backend) > 0;
		pending += atomic_load_explicit(&backend->pending, memory_order_relaxed);
	}
	for (size_t i = 0; (leaving = fleet_leaving(daemon->fleet, i)); i++)
		pending += atomic_load_explicit(&leaving->pending, memory_order_relaxed);
	jsonw_object(w, "backends");
	jsonw_u64(w, "total", total);
	jsonw_u64(w, "healthy", healthy);
	jsonw_u64(w, "draining", draining);
	jsonw_u64(w, "held", held);
	jsonw_object_end(w);
	jsonw_u64(w, "models", table->n_models);
	jsonw_u64(w, "in_flight", pending > 0 ? (uint64_t)pending : 0);
}

static int write_status(const struct daemon *daemon, struct buf *out)
{
	uint64_t up_ns = clock_monotonic_ns() - daemon->lifecycle.started_ns;
	struct jsonw w;

	jsonw_begin(&w, out);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "state", str_of(state_of(daemon)));
	jsonw_string(&w, "version", str_of(version_text));
	jsonw_string(&w, "revision", str_of(revision_text));
	jsonw_u64(&w, "pid", (uint64_t)getpid());
	jsonw_u64(&w, "uptime_seconds", up_ns / NS_PER_SEC);
	jsonw_u64(&w, "workers", daemon->n_workers);
	write_fleet(&w, daemon);
	write_listeners(&w, daemon);
	write_config(&w, daemon);
	jsonw_object_end(&w);
	return w.error;
}

static int reload(struct daemon *daemon, struct buf *out)
{
	struct jsonw w;

	/* In a handover it is the new process that reads the configuration. */
	if (daemon_is_stopping(daemon) || !is_ready(daemon) || daemon->handover)
		return -ESHUTDOWN;
	reload_config(daemon);
	if (daemon->last_reload.result < 0) {
		(void)!buf_append_str(out, buf_str(&daemon->last_reload.error));
		return daemon->last_reload.result;
	}
	jsonw_begin(&w, out);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "status", STR_LITERAL("reloaded"));
	write_restart_needed(&w, daemon);
	jsonw_object_end(&w);
	return w.error;
}

void admin_answer(struct control *control, struct control_call *call)
{
	struct daemon *daemon = container_of(control, struct daemon, control);

	switch (call->verb) {
	case CONTROL_STATUS:
		call->result = write_status(daemon, &call->reply);
		break;
	case CONTROL_RELOAD:
		call->result = reload(daemon, &call->reply);
		break;
	}
}
