/* SPDX-License-Identifier: Apache-2.0 */
/* What the admin face tells of the route table in force and changes in its backends. */
#include <string.h>

#include "api/api_state.h"
#include "base/clock.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "config/config_expand.h"
#include "config/config_json.h"
#include "route/queue.h"

#define DOCUMENT_MAX_BYTES (64u << 20)

static size_t count_models(const struct route_table *table, const struct backend *backend)
{
	size_t n = 0;

	for (size_t i = 0; i < table->n_models; i++)
		for (size_t k = 0; k < table->models[i].n_candidates; k++)
			n += table->models[i].candidates[k].backend == backend;
	return n;
}

static void write_backend(struct jsonw *w, const struct route_table *table, size_t index)
{
	const struct backend_config *config = &table->config->backends[index];
	const struct backend *backend = table->backends[index];
	uint64_t usec = atomic_load_explicit(&backend->ema_usec, memory_order_relaxed);
	int64_t pending = atomic_load_explicit(&backend->pending, memory_order_relaxed);

	jsonw_object(w, NULL);
	jsonw_string(w, "name", str_of(config->name));
	jsonw_string(w, "type", str_of(backend_type_name(config->type)));
	jsonw_string(w, "url", str_of(config->url));
	jsonw_string(w, "zone", str_of(config->zone));
	jsonw_u64(w, "tier", config->tier);
	if (config->address)
		jsonw_string(w, "address", str_of(config->address));
	jsonw_u64(w, "max_concurrent", config->max_concurrent);
	jsonw_u64(w, "priority", config->priority);
	jsonw_u64(w, "weight", config->weight);
	jsonw_bool(w, "optional", config->optional);
	jsonw_string(w, "status", str_of(backend_status_name(backend)));
	jsonw_bool(w, "healthy", backend_is_healthy(backend));
	jsonw_bool(w, "draining", backend_is_draining(backend));
	jsonw_u64(w, "held_seconds", backend_held_seconds(backend));
	jsonw_string(
		w, "circuit",
		str_of(breaker_state_name(breaker_state(&backend->breaker, clock_monotonic_ns()))));
	jsonw_u64(w, "in_flight", pending > 0 ? (uint64_t)pending : 0);
	if (usec > 0)
		jsonw_tenths(w, "average_latency_ms", usec / 100);
	else
		jsonw_raw(w, "average_latency_ms", STR_LITERAL("null"));
	jsonw_u64(w, "models", count_models(table, backend));
	jsonw_object_end(w);
}

/* By its own name, or by that in the file, which all addresses of a host share. Names need no
 * decoding. */
static bool is_named(const struct backend_config *config, struct str name)
{
	return str_eq(str_of(config->name), name) ||
	       str_eq((struct str){config->name, config_name_length(config)}, name);
}

/* Those of this name; with none all. */
static void answer_backends(struct request *request, struct str name)
{
	const struct route_table *table = request->table;
	struct buf body;
	struct jsonw w;

	buf_init(&body, DOCUMENT_MAX_BYTES);
	jsonw_begin(&w, &body);
	jsonw_object(&w, NULL);
	jsonw_array(&w, "backends");
	for (size_t i = 0; i < table->config->n_backends; i++)
		if (name.n == 0 || is_named(&table->config->backends[i], name))
			write_backend(&w, table, i);
	jsonw_array_end(&w);
	jsonw_object_end(&w);
	request_document(request, 200, "application/json", &body, w.error);
}

void api_admin_backends(struct request *request)
{
	answer_backends(request, (struct str){"", 0});
}

static void log_change(const char *backend, bool draining)
{
	const struct log_field field = {NEXUSD_FIELD_BACKEND, backend};

	if (draining)
		log_event_with(MESSAGE_BACKEND_DRAINING, &field, 1,
			       "backend %s: draining, no new request goes there", backend);
	else
		log_event_with(MESSAGE_BACKEND_UNDRAINED, &field, 1,
			       "backend %s: takes requests again", backend);
}

static void set_draining(struct request *request, bool draining)
{
	const struct route_table *table = request->table;
	struct str name = request->argument;
	enum backend_drain what =
		memchr(name.p, '@', name.n) ? BACKEND_DRAIN_ADDRESS : BACKEND_DRAIN_NAME;
	size_t n = 0;

	for (size_t i = 0; i < table->config->n_backends; i++) {
		struct backend *backend = table->backends[i];

		if (!is_named(&table->config->backends[i], name))
			continue;
		if (draining ? backend_drain(backend, what) : backend_undrain(backend))
			log_change(backend->name, draining);
		n++;
	}
	if (n == 0) {
		request_problem(request, PROBLEM_BACKEND_NOT_FOUND, NULL, NULL, NULL);
		return;
	}
	(void)queue_review(request->api->in.queue);
	answer_backends(request, name);
}

void api_admin_drain(struct request *request)
{
	set_draining(request, true);
}

void api_admin_undrain(struct request *request)
{
	set_draining(request, false);
}

/* As it stands in the files. */
void api_admin_config(struct request *request)
{
	const struct config *config = request->table->config;
	struct buf body;
	int r;

	buf_init(&body, DOCUMENT_MAX_BYTES);
	r = config_json_write(config->base ? config->base : config, &body);
	request_document(request, 200, "application/json", &body, r);
}
