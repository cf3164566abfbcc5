/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <stdlib.h>

#include "config/schema.h"
#include "config/schema_object.h"
#include "config/secrets.h"

static const struct {
	const char *name;
	bool local;
} backend_types[] = {
#define X(id, name, local) [id] = {name, local},
	BACKEND_TYPES(X)
#undef X
};

const char *backend_type_name(enum backend_type type)
{
	return backend_types[type].name;
}

bool backend_type_is_local(enum backend_type type)
{
	return backend_types[type].local;
}

struct config *config_ref(struct config *config)
{
	__atomic_fetch_add(&config->references, 1, __ATOMIC_RELAXED);
	return config;
}

/* Of the backends only copies have anything of their own. */
static void free_expanded(struct config *config)
{
	for (size_t i = 0; config->backends && i < config->n_backends; i++) {
		if (!config->backends[i].address)
			continue;
		free(config->backends[i].address);
		free(config->backends[i].name);
	}
	free(config->backends);
	config_unref(config->base);
	free(config);
}

static void free_config(struct config *config)
{
	if (config->base) {
		free_expanded(config);
		return;
	}
	for (size_t i = 0; i < config->n_backends; i++)
		config->backends[i].authorization = secrets_free(config->backends[i].authorization);
	schema_object_done(SCOPE_ROOT, config);
	for (size_t i = 0; i < config->n_files; i++)
		free(config->files[i]);
	free(config->files);
	free(config);
}

struct config *config_unref(struct config *config)
{
	/* Acquire and release with the other threads' calls: their last reads come before the
	 * freeing. */
	if (config && __atomic_fetch_sub(&config->references, 1, __ATOMIC_ACQ_REL) == 1)
		free_config(config);
	return NULL;
}

int config_restart_differences(const struct config *old, const struct config *new_config,
			       struct buf *out)
{
	char name[OPTION_NAME_MAX];
	int n = 0;

	for (size_t i = 0; i < SCHEMA_COUNT; i++) {
		const struct option *option = schema_at(i);
		int r;

		if (option->scope != SCOPE_ROOT || option->reload != RELOAD_RESTART ||
		    schema_object_is_equal(option, old, new_config))
			continue;
		r = buf_printf(out, "%s%s", n ? ", " : "", schema_name(option, name));
		if (r < 0)
			return r;
		n++;
	}
	return n;
}
