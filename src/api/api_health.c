/* SPDX-License-Identifier: Apache-2.0 */
/* GET /health, /livez, /readyz. */
#include "api/api_state.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/jsonx.h"
#include "base/version.h"

struct fleet {
	size_t total, healthy;
};

static struct fleet count_fleet(const struct route_table *table)
{
	struct fleet fleet = {0};

	for (size_t i = 0; i < table->config->n_backends; i++) {
		if (!backend_counts(table->backends[i], &table->config->backends[i]))
			continue;
		fleet.total++;
		fleet.healthy += backend_is_healthy(table->backends[i]);
	}
	return fleet;
}

static const char *fleet_status(struct fleet fleet)
{
	if (fleet.healthy == 0)
		return "unhealthy";
	return fleet.healthy == fleet.total ? "healthy" : "degraded";
}

static void write_backends(struct jsonw *w, const struct route_table *table)
{
	jsonw_array(w, "list");
	for (size_t i = 0; i < table->config->n_backends; i++) {
		const struct backend_config *config = &table->config->backends[i];
		const struct backend *backend = table->backends[i];

		if (!backend_counts(backend, config))
			continue;
		jsonw_object(w, NULL);
		jsonw_string(w, "name", str_of(config->name));
		jsonw_string(w, "type", str_of(backend_type_name(config->type)));
		jsonw_string(w, "status", str_of(backend_status_name(backend)));
		jsonw_object_end(w);
	}
	jsonw_array_end(w);
}

void api_health(struct request *request)
{
	const struct route_table *table = request->table;
	struct fleet fleet = count_fleet(table);
	uint64_t up_ns = clock_monotonic_ns() - request->api->in.lifecycle->started_ns;
	struct buf body;
	struct jsonw w;

	buf_init(&body, 1u << 20);
	jsonw_begin(&w, &body);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "status", str_of(fleet_status(fleet)));
	jsonw_string(&w, "version", str_of(version_text));
	jsonw_u64(&w, "uptime_seconds", up_ns / NS_PER_SEC);
	jsonw_object(&w, "backends");
	jsonw_u64(&w, "total", fleet.total);
	jsonw_u64(&w, "healthy", fleet.healthy);
	jsonw_u64(&w, "unhealthy", fleet.total - fleet.healthy);
	if (request_query_has(request, STR_LITERAL("verbose")))
		write_backends(&w, table);
	jsonw_object_end(&w);
	jsonw_object(&w, "models");
	jsonw_u64(&w, "total", table->n_models);
	jsonw_object_end(&w);
	jsonw_object_end(&w);
	request_document(request, fleet.healthy ? 200 : 503, "application/json", &body, w.error);
}

static void reply_status(struct request *request, bool good, const char *word)
{
	struct buf body;
	struct jsonw w;

	buf_init(&body, 256);
	jsonw_begin(&w, &body);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "status", str_of(word));
	jsonw_object_end(&w);
	request_document(request, good ? 200 : 503, "application/json", &body, w.error);
}

void api_livez(struct request *request)
{
	reply_status(request, true, "alive");
}

void api_readyz(struct request *request)
{
	const struct lifecycle *lifecycle = request->api->in.lifecycle;

	if (atomic_load_explicit(&lifecycle->draining, memory_order_relaxed))
		reply_status(request, false, "draining");
	else if (atomic_load_explicit(&lifecycle->ready, memory_order_relaxed))
		reply_status(request, true, "ready");
	else
		reply_status(request, false, "starting");
}
