/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_expand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many backends the configuration has at most. */
static size_t most_backends(const struct config *base, const struct config_addresses *addresses)
{
	size_t n = base->n_backends;

	for (size_t i = 0; i < base->n_backends; i++)
		n += addresses[i].n;
	return n;
}

static bool add_copy(struct config *config, const struct backend_config *backend,
		     const char *address, size_t number)
{
	struct backend_config *copy = &config->backends[config->n_backends];

	*copy = *backend;
	copy->address = strdup(address);
	if (!copy->address || asprintf(&copy->name, "%s@%zu", backend->name, number) < 0) {
		free(copy->address);
		return false;
	}
	config->n_backends++;
	return true;
}

static bool add_backend(struct config *config, const struct backend_config *backend,
			const struct config_addresses *addresses)
{
	if (addresses->n == 0) {
		config->backends[config->n_backends++] = *backend;
		return true;
	}
	for (size_t i = 0; i < addresses->n; i++)
		if (addresses->texts[i] && !add_copy(config, backend, addresses->texts[i], i + 1))
			return false;
	return true;
}

struct config *config_expand(struct config *base, const struct config_addresses *addresses)
{
	size_t n = most_backends(base, addresses);
	struct config *config;

	if (n == base->n_backends)
		return config_ref(base);
	config = calloc(1, sizeof(*config));
	if (!config)
		return NULL;
	/* Other threads count the references of `base` meanwhile. */
	memcpy(config, base, offsetof(struct config, references));
	config->references = 1;
	config->base = config_ref(base);
	config->n_backends = 0;
	config->backends = calloc(n, sizeof(*config->backends));
	if (!config->backends)
		return config_unref(config);
	for (size_t i = 0; i < base->n_backends; i++)
		if (!add_backend(config, &base->backends[i], &addresses[i]))
			return config_unref(config);
	return config;
}

size_t config_name_length(const struct backend_config *backend)
{
	return strcspn(backend->name, "@");
}
