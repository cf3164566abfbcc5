/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/fleet.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "config/config_expand.h"
#include "http/server.h"
#include "upstream/client.h"

struct fleet {
	pthread_mutex_t mutex;     /* around what follows, to the blank line */
	struct route_table *table; /* a reference */
	uint64_t configured_msec;  /* when its configuration came into force */
	struct backend **leaving;  /* references: no longer in the table */
	size_t n_leaving;

	uint64_t started_ns, started_msec;
};

/* A reference for the caller; NULL before the first fleet_set(). */
static struct route_table *take_table(struct fleet *fleet)
{
	struct route_table *table;

	pthread_mutex_lock(&fleet->mutex);
	table = fleet->table ? route_table_ref(fleet->table) : NULL;
	pthread_mutex_unlock(&fleet->mutex);
	return table;
}

static bool has(const struct route_table *table, const struct backend *backend)
{
	for (size_t i = 0; i < table->config->n_backends; i++)
		if (table->backends[i] == backend)
			return true;
	return false;
}

/* Is its name configured, but nothing at the address that it was drained at? */
static bool is_absent(const struct backend *backend, const struct route_table *table)
{
	struct str name = str_of(backend->name);
	bool is_configured = false;
	unsigned drain = atomic_load_explicit(&backend->drain, memory_order_relaxed);

	if (!(drain & BACKEND_DRAIN_ADDRESS))
		return false;
	name.n = strcspn(backend->name, "@");
	for (size_t i = 0; i < table->config->n_backends; i++) {
		const struct backend_config *config = &table->config->backends[i];

		if (!str_eq((struct str){config->name, config_name_length(config)}, name))
			continue;
		if (strcmp(table->backends[i]->address, backend->address) == 0)
			return false;
		is_configured = true;
	}
	return is_configured;
}

/* Requests of tables before go on to heed its drain, but no other backend takes it over. */
static void disinherit(struct backend *backend)
{
	if (backend_is_draining(backend))
		(void)backend_drain(backend, BACKEND_DRAIN_NAME);
	(void)atomic_fetch_and_explicit(&backend->drain, ~(unsigned)BACKEND_DRAIN_ADDRESS,
					memory_order_relaxed);
}

/* Without memory nobody sees them go. */
static void note_leaving(struct fleet *fleet, const struct route_table *before,
			 const struct route_table *table)
{
	size_t n_before = before ? before->config->n_backends : 0, n = 0;
	struct backend **leaving =
		calloc(fleet->n_leaving + n_before + 1, sizeof(struct backend *));

	for (size_t i = 0; leaving && i < fleet->n_leaving + n_before; i++) {
		struct backend *backend =
			i < n_before ? before->backends[i] : fleet->leaving[i - n_before];

		bool is_drained_for_later = is_absent(backend, table);

		if (has(table, backend))
			continue;
		if (!is_drained_for_later)
			disinherit(backend);
		/* One of the table that is replaced just now may be in use, whoever else names it.
		 */
		if (i < n_before || is_drained_for_later || backend_is_shared(backend))
			leaving[n++] = backend_ref(backend);
	}
	for (size_t i = 0; i < fleet->n_leaving; i++)
		backend_unref(fleet->leaving[i]);
	free(fleet->leaving);
	fleet->leaving = leaving;
	fleet->n_leaving = n;
}

struct backend *fleet_leaving(const struct fleet *fleet, size_t i)
{
	return i < fleet->n_leaving ? fleet->leaving[i] : NULL;
}

void fleet_remember(struct fleet *fleet, struct backend *backend)
{
	struct backend **leaving;

	pthread_mutex_lock(&fleet->mutex);
	leaving = realloc(fleet->leaving, (fleet->n_leaving + 1) * sizeof(struct backend *));
	if (leaving) {
		fleet->leaving = leaving;
		leaving[fleet->n_leaving++] = backend_ref(backend);
	}
	pthread_mutex_unlock(&fleet->mutex);
}

void fleet_set(struct fleet *fleet, struct route_table *table)
{
	struct route_table *before;

	pthread_mutex_lock(&fleet->mutex);
	before = fleet->table;
	note_leaving(fleet, before, table);
	fleet->table = route_table_ref(table);
	/* A table is built anew for new models, too. */
	if (!before || before->config != table->config)
		fleet->configured_msec = clock_realtime_msec();
	pthread_mutex_unlock(&fleet->mutex);
	route_table_unref(before);
}

/* The next backend that counts, from *cursor on, which then is behind it; NULL at the end. */
static const struct backend *next_backend(const struct route_table *table, size_t *cursor)
{
	while (table && *cursor < table->config->n_backends) {
		size_t i = (*cursor)++;

		if (backend_counts(table->backends[i], &table->config->backends[i]))
			return table->backends[i];
	}
	return NULL;
}

/* Of those that leave, from `first` on. */
static int64_t count_leaving(const struct fleet *fleet, size_t first, const char *name)
{
	int64_t sum = 0;

	for (size_t i = first; i < fleet->n_leaving; i++)
		if (strcmp(fleet->leaving[i]->name, name) == 0)
			sum += (int64_t)backend_load(fleet->leaving[i]);
	return sum;
}

static bool is_counted(const struct fleet *fleet, size_t n_leaving, const char *name)
{
	const struct backend *backend;
	size_t cursor = 0;

	for (size_t i = 0; i < n_leaving; i++)
		if (strcmp(fleet->leaving[i]->name, name) == 0)
			return true;
	while ((backend = next_backend(fleet->table, &cursor)))
		if (strcmp(backend->name, name) == 0)
			return true;
	return false;
}

static void collect_pending(void *context, provider_emit_fn *emit, void *emitter)
{
	struct fleet *fleet = context;
	const struct backend *backend;
	size_t cursor = 0;

	pthread_mutex_lock(&fleet->mutex);
	while ((backend = next_backend(fleet->table, &cursor)))
		emit(emitter, (struct str[]){str_of(backend->name)},
		     atomic_load_explicit(&backend->pending, memory_order_relaxed) +
			     count_leaving(fleet, 0, backend->name));
	for (size_t i = 0; i < fleet->n_leaving; i++) {
		const char *name = fleet->leaving[i]->name;
		int64_t pending = count_leaving(fleet, i, name);

		if (pending > 0 && !is_counted(fleet, i, name))
			emit(emitter, (struct str[]){str_of(name)}, pending);
	}
	pthread_mutex_unlock(&fleet->mutex);
}

static void collect_up(void *context, provider_emit_fn *emit, void *emitter)
{
	struct route_table *table = take_table(context);
	const struct backend *backend;
	size_t cursor = 0;

	while ((backend = next_backend(table, &cursor)))
		emit(emitter, (struct str[]){str_of(backend->name)}, backend_is_healthy(backend));
	route_table_unref(table);
}

static void emit_circuit(const struct backend *backend, provider_emit_fn *emit, void *emitter)
{
	enum breaker_state now = breaker_state(&backend->breaker, clock_monotonic_ns());

	for (int state = 0; state < N_BREAKER_STATES; state++)
		emit(emitter,
		     (struct str[]){str_of(backend->name),
				    str_of(breaker_state_name((enum breaker_state)state))},
		     state == (int)now);
}

static void collect_circuits(void *context, provider_emit_fn *emit, void *emitter)
{
	struct route_table *table = take_table(context);
	const struct backend *backend;
	size_t cursor = 0;

	while ((backend = next_backend(table, &cursor)))
		emit_circuit(backend, emit, emitter);
	route_table_unref(table);
}

static void collect_backend_info(void *context, provider_emit_fn *emit, void *emitter)
{
	struct route_table *table = take_table(context);
	const struct backend *backend;
	size_t cursor = 0;

	while ((backend = next_backend(table, &cursor))) {
		const struct backend_config *config = &table->config->backends[cursor - 1];
		struct str name = str_of(backend->name);

		emit(emitter,
		     (struct str[]){name, name, str_of(backend_type_name(config->type)),
				    str_of(config->zone)},
		     1);
	}
	route_table_unref(table);
}

static void count_backends(struct fleet *fleet, bool only_healthy, provider_emit_fn *emit,
			   void *emitter)
{
	struct route_table *table = take_table(fleet);
	const struct backend *backend;
	size_t cursor = 0;
	int64_t count = 0;

	while ((backend = next_backend(table, &cursor)))
		count += !only_healthy || backend_is_healthy(backend);
	route_table_unref(table);
	emit(emitter, NULL, count);
}

static void collect_backends(void *context, provider_emit_fn *emit, void *emitter)
{
	count_backends(context, false, emit, emitter);
}

static void collect_healthy(void *context, provider_emit_fn *emit, void *emitter)
{
	count_backends(context, true, emit, emitter);
}

static bool is_available(const struct route_model *model)
{
	for (size_t i = 0; i < model->n_candidates; i++)
		if (backend_is_healthy(model->candidates[i].backend))
			return true;
	return false;
}

static void collect_available(void *context, provider_emit_fn *emit, void *emitter)
{
	struct route_table *table = take_table(context);
	int64_t count = 0;

	for (size_t i = 0; table && i < table->n_models; i++)
		count += is_available(&table->models[i]);
	route_table_unref(table);
	emit(emitter, NULL, count);
}

static void collect_model_info(void *context, provider_emit_fn *emit, void *emitter)
{
	struct route_table *table = take_table(context);

	for (size_t i = 0; table && i < table->n_models; i++) {
		struct str id = str_of(table->models[i].id);

		emit(emitter, (struct str[]){id, id}, 1);
	}
	route_table_unref(table);
}

static void collect_build_info(void *context UNUSED, provider_emit_fn *emit, void *emitter)
{
	emit(emitter,
	     (struct str[]){str_of(version_text), str_of(revision_text), str_of(client_version()),
			    str_of(server_library_version()), str_of(client_tls_version())},
	     1);
}

static void collect_uptime(void *context, provider_emit_fn *emit, void *emitter)
{
	const struct fleet *fleet = context;

	emit(emitter, NULL, (int64_t)(clock_monotonic_ns() - fleet->started_ns));
}

static void emit_msec(provider_emit_fn *emit, void *emitter, uint64_t msec)
{
	emit(emitter, NULL, (int64_t)(msec * NS_PER_MSEC));
}

static void collect_start_time(void *context, provider_emit_fn *emit, void *emitter)
{
	const struct fleet *fleet = context;

	emit_msec(emit, emitter, fleet->started_msec);
}

static void collect_last_reload(void *context, provider_emit_fn *emit, void *emitter)
{
	struct fleet *fleet = context;
	uint64_t msec;

	pthread_mutex_lock(&fleet->mutex);
	msec = fleet->configured_msec;
	pthread_mutex_unlock(&fleet->mutex);
	emit_msec(emit, emitter, msec);
}

static const struct {
	enum metric metric;
	void (*collect)(void *context, provider_emit_fn *emit, void *emitter);
} gauges[] = {
	{METRIC_PENDING_REQUESTS, collect_pending},
	{METRIC_BACKENDS, collect_backends},
	{METRIC_BACKENDS_HEALTHY, collect_healthy},
	{METRIC_MODELS_AVAILABLE, collect_available},
	{METRIC_MODEL_INFO, collect_model_info},
	{METRIC_BACKEND_INFO, collect_backend_info},
	{METRIC_BUILD_INFO, collect_build_info},
	{METRIC_UPTIME, collect_uptime},
	{METRIC_BACKEND_UP, collect_up},
	{METRIC_BACKEND_CIRCUIT_STATE, collect_circuits},
	{METRIC_CONFIG_LAST_RELOAD, collect_last_reload},
	{METRIC_PROCESS_START_TIME, collect_start_time},
};

struct fleet *fleet_new(struct registry *registry, uint64_t started_ns)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));

	if (!fleet)
		return NULL;
	fleet->started_ns = started_ns;
	fleet->started_msec = clock_realtime_msec();
	pthread_mutex_init(&fleet->mutex, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(gauges); i++)
		if (registry_provide(registry, gauges[i].metric, gauges[i].collect, fleet) < 0)
			return fleet_free(fleet);
	return fleet;
}

struct fleet *fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return NULL;
	for (size_t i = 0; i < fleet->n_leaving; i++)
		backend_unref(fleet->leaving[i]);
	free(fleet->leaving);
	route_table_unref(fleet->table);
	pthread_mutex_destroy(&fleet->mutex);
	free(fleet);
	return NULL;
}
