/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/succession.h"

#include <errno.h>
#include <stdio.h>

#include "base/hash.h"
#include "config/config_expand.h"
#include "daemon/daemon_state.h"

/* A name of the configuration, a blank, an address. */
#define WHAT_MAX_BYTES 128

/* Those in force under one name of the configuration. */
struct kin {
	struct backend *any, *same; /* the last one with the same address; NULL: there is none */
	struct backend *server; /* the same server, as far as is known: the address of one that was
				 * alone may not be */
	unsigned drain;         /* what of it is for all of them */
};

/* In the configuration: without the number of an address. */
static struct str name_of(const struct backend_config *config)
{
	return (struct str){config->name, config_name_length(config)};
}

/* The same of one that need not be configured any more. */
static struct str stem_of(const struct backend *backend)
{
	return (struct str){backend->name, strcspn(backend->name, "@")};
}

static bool is_kin(const struct backend_config *a, const struct backend_config *b)
{
	return str_eq(name_of(a), name_of(b));
}

static bool is_at_same_url(const struct backend_config *a, const struct backend_config *b)
{
	return a->type == b->type && str_eq(str_of(a->url), str_of(b->url));
}

/* What a backend did elsewhere, or was told because of another key, says nothing. */
static uint64_t service_of(const struct backend_config *config)
{
	uint64_t hash = hash_stable(0, str_of(backend_type_name(config->type)));

	return hash_stable(hash_stable(hash, str_of(config->url)), str_of(config->authorization));
}

static unsigned drain_of(const struct backend *backend)
{
	return atomic_load_explicit(&backend->drain, memory_order_relaxed);
}

static int health_of(const struct backend *backend)
{
	return atomic_load_explicit(&backend->health, memory_order_relaxed);
}

static struct kin find_kin(const struct route_table *table, const struct backend_config *config,
			   const char *address)
{
	struct kin kin = {.any = NULL};

	for (size_t i = 0; table && i < table->config->n_backends; i++) {
		struct backend *backend = table->backends[i];

		if (!is_kin(&table->config->backends[i], config))
			continue;
		kin.any = backend;
		kin.drain |= drain_of(backend) & BACKEND_DRAIN_NAME;
		if (address[0] && strcmp(backend->address, address) == 0)
			kin.same = backend;
		if ((kin.same == backend || !backend->address[0]) &&
		    is_at_same_url(&table->config->backends[i], config))
			kin.server = backend;
	}
	return kin;
}

static const char *address_of(const struct daemon *daemon, const struct backend_config *config)
{
	if (config->address)
		return config->address;
	return address_book_alone(daemon->address_book, config->name);
}

/* Is it the one that `config` asks for? Behind a plain name libcurl finds the way: whatever the
 * address, it stays the same backend. */
static bool is_meant(const struct backend *backend, const struct backend_config *config)
{
	return backend && str_eq(str_of(backend->name), str_of(config->name)) &&
	       backend->service == service_of(config) &&
	       (!config->address || strcmp(backend->address, config->address) == 0);
}

static struct backend *find_in_force(const struct route_table *table,
				     const struct backend_config *config)
{
	for (size_t i = 0; table && i < table->config->n_backends; i++)
		if (is_meant(table->backends[i], config))
			return backend_ref(table->backends[i]);
	return NULL;
}

/* It has still something to do. Without a drain: that was of another configuration or address. */
static struct backend *find_leaving(const struct fleet *fleet, const struct backend_config *config)
{
	struct backend *backend;

	for (size_t i = 0; (backend = fleet_leaving(fleet, i)); i++) {
		if (!is_meant(backend, config))
			continue;
		(void)backend_undrain(backend);
		return backend_ref(backend);
	}
	return NULL;
}

/* Before its host lost the address that it has now again? */
static bool was_drained(const struct fleet *fleet, const struct backend_config *config,
			const char *address)
{
	const struct backend *backend;

	for (size_t i = 0; address[0] && (backend = fleet_leaving(fleet, i)); i++) {
		if (str_eq(stem_of(backend), name_of(config)) &&
		    strcmp(backend->address, address) == 0 &&
		    (drain_of(backend) & BACKEND_DRAIN_ADDRESS))
			return true;
	}
	return false;
}

/* What is known of its host, until it is asked itself. -ENOMEM. */
static int describe(struct backend *backend, const struct kin *kin)
{
	int health = kin->server ? health_of(kin->server) : BACKEND_UNKNOWN;

	/* The other key may have been the reason. */
	if (health == BACKEND_UNHEALTHY && kin->server->service != backend->service)
		health = BACKEND_UNKNOWN;
	atomic_store_explicit(&backend->health, health, memory_order_relaxed);
	return kin->any ? backend_copy_models(backend, kin->any) : 0;
}

/* A reference; NULL for no memory. */
static struct backend *make_backend(const struct daemon *daemon,
				    const struct backend_config *config)
{
	const char *address = address_of(daemon, config);
	bool is_drained = was_drained(daemon->fleet, config, address);
	struct kin kin = find_kin(daemon->table, config, address);
	struct backend *backend = find_in_force(daemon->table, config);

	if (backend)
		return backend;
	backend = find_leaving(daemon->fleet, config);
	if (!backend)
		backend = backend_new(str_of(config->name));
	if (!backend)
		return NULL;
	backend->service = service_of(config);
	memcpy(backend->address, address, strlen(address) + 1);
	if (describe(backend, &kin) < 0)
		return backend_unref(backend);
	if (is_drained)
		(void)backend_drain(backend, BACKEND_DRAIN_ADDRESS);
	return backend;
}

int succession_introduce(struct daemon *daemon, const struct config *config)
{
	for (size_t i = 0; i < config->n_backends; i++) {
		struct backend *backend;

		if (is_meant(backends_find(daemon->backends, str_of(config->backends[i].name)),
			     &config->backends[i]))
			continue;
		backend = make_backend(daemon, &config->backends[i]);
		if (!backend)
			return -ENOMEM;
		if (backends_put(daemon->backends, backend) < 0) {
			backend_unref(backend);
			return -ENOMEM;
		}
	}
	return 0;
}

static bool has(const struct route_table *table, const struct backend *backend)
{
	for (size_t i = 0; i < table->config->n_backends; i++)
		if (table->backends[i] == backend)
			return true;
	return false;
}

void succession_hand_on(const struct route_table *before, const struct route_table *table)
{
	for (size_t i = 0; before && i < table->config->n_backends; i++) {
		struct backend *backend = table->backends[i];
		struct kin kin;

		if (has(before, backend))
			continue;
		kin = find_kin(before, &table->config->backends[i], backend->address);
		atomic_fetch_or_explicit(&backend->drain, kin.same ? drain_of(kin.same) : kin.drain,
					 memory_order_relaxed);
	}
}

struct telling {
	succession_tell_fn *tell;
	void *context;
	int error; /* the first one ends it */
};

static void tell(struct telling *telling, enum channel_kind kind, struct str name,
		 const char *address)
{
	char text[WHAT_MAX_BYTES];
	int n = snprintf(text, sizeof(text), "%.*s%s%s", (int)name.n, name.p, address[0] ? " " : "",
			 address);

	if (telling->error == 0)
		telling->error =
			telling->tell(telling->context, kind, (struct str){text, (size_t)n});
}

/* A backend that has its host's name alone is told of by the address under which it was drained. */
static void tell_of_address(struct telling *telling, const struct route_table *table, size_t index)
{
	const struct backend_config *config = &table->config->backends[index];
	const struct backend *backend = table->backends[index];
	unsigned drain = drain_of(backend), all = find_kin(table, config, "").drain;

	if (!backend->address[0])
		return;
	if (all & ~drain)
		tell(telling, CHANNEL_UNDRAINED, name_of(config), backend->address);
	if (drain & BACKEND_DRAIN_ADDRESS)
		tell(telling, CHANNEL_DRAINED, name_of(config), backend->address);
}

/* First what is said of the names, then how each address differs. */
void succession_tell_drains(const struct daemon *daemon, succession_tell_fn *tell_fn, void *context)
{
	struct telling telling = {tell_fn, context, 0};
	const struct route_table *table = daemon->table;
	const struct backend *backend;

	for (size_t i = 0; i < table->config->n_backends; i++) {
		if (drain_of(table->backends[i]) & BACKEND_DRAIN_NAME)
			tell(&telling, CHANNEL_DRAINED, name_of(&table->config->backends[i]), "");
	}
	for (size_t i = 0; i < table->config->n_backends; i++)
		tell_of_address(&telling, table, i);
	for (size_t i = 0; (backend = fleet_leaving(daemon->fleet, i)); i++) {
		if (drain_of(backend) & BACKEND_DRAIN_ADDRESS)
			tell(&telling, CHANNEL_ABSENT, stem_of(backend), backend->address);
	}
}

/* Not looked up yet, or found alone in silence: it is known by what is said of it. */
static void learn_address(struct backend *backend, const struct backend_config *config,
			  struct str address)
{
	if (!config->address && !backend->address[0] && address.n < sizeof(backend->address))
		memcpy(backend->address, address.p, address.n);
}

void succession_set_drain(struct daemon *daemon, bool drained, struct str what)
{
	struct str name = str_split(&what, ' ');

	for (size_t i = 0; i < daemon->config->n_backends; i++) {
		const struct backend_config *config = &daemon->config->backends[i];
		struct backend *backend;

		if (!str_eq(name, name_of(config)))
			continue;
		backend = backends_find(daemon->backends, str_of(config->name));
		if (!backend)
			continue;
		if (what.n > 0)
			learn_address(backend, config, what);
		if (what.n > 0 && !str_eq(str_of(backend->address), what))
			continue;
		if (drained)
			atomic_fetch_or_explicit(&backend->drain,
						 what.n ? BACKEND_DRAIN_ADDRESS
							: BACKEND_DRAIN_NAME,
						 memory_order_relaxed);
		else
			atomic_store_explicit(&backend->drain, 0, memory_order_relaxed);
	}
}

void succession_set_absent(struct daemon *daemon, struct str what)
{
	struct backend *backend = backend_new(str_split(&what, ' '));

	if (!backend)
		return;
	if (what.n > 0 && what.n < sizeof(backend->address)) {
		memcpy(backend->address, what.p, what.n);
		(void)backend_drain(backend, BACKEND_DRAIN_ADDRESS);
		fleet_remember(daemon->fleet, backend);
	}
	backend_unref(backend);
}
