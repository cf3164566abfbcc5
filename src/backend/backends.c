/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/backends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct backend *backend; /* a reference */
	bool keep;
};

struct backends {
	struct entry *entries; /* sorted by name */
	size_t n, room;
};

struct backends *backends_new(void)
{
	return calloc(1, sizeof(struct backends));
}

struct backends *backends_free(struct backends *backends)
{
	if (!backends)
		return NULL;
	for (size_t i = 0; i < backends->n; i++)
		backend_unref(backends->entries[i].backend);
	free(backends->entries);
	free(backends);
	return NULL;
}

/* The first entry whose name is not below `name`. */
static size_t place_of(const struct backends *backends, struct str name)
{
	size_t low = 0, high = backends->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (str_compare(name, str_of(backends->entries[middle].backend->name)) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct entry *find(const struct backends *backends, struct str name)
{
	size_t place = place_of(backends, name);

	if (place == backends->n ||
	    str_compare(name, str_of(backends->entries[place].backend->name)) != 0)
		return NULL;
	return &backends->entries[place];
}

static int make_room(struct backends *backends)
{
	size_t room = backends->room ? backends->room * 2 : 8;
	struct entry *entries;

	if (backends->n < backends->room)
		return 0;
	entries = reallocarray(backends->entries, room, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	backends->entries = entries;
	backends->room = room;
	return 0;
}

int backends_put(struct backends *backends, struct backend *backend)
{
	struct str name = str_of(backend->name);
	struct entry *entry = find(backends, name);
	size_t place;

	if (entry) {
		backend_unref(entry->backend);
		entry->backend = backend;
		return 0;
	}
	if (make_room(backends) < 0)
		return -ENOMEM;
	place = place_of(backends, name);
	memmove(&backends->entries[place + 1], &backends->entries[place],
		(backends->n - place) * sizeof(*backends->entries));
	backends->entries[place] = (struct entry){.backend = backend};
	backends->n++;
	return 0;
}

struct backend *backends_obtain(struct backends *backends, struct str name)
{
	struct entry *entry = find(backends, name);
	struct backend *backend;

	if (entry)
		return entry->backend;
	backend = backend_new(name);
	if (backend && backends_put(backends, backend) < 0)
		backend = backend_unref(backend);
	return backend;
}

struct backend *backends_find(const struct backends *backends, struct str name)
{
	struct entry *entry = find(backends, name);

	return entry ? entry->backend : NULL;
}

void backends_keep_only(struct backends *backends, const struct config *config)
{
	size_t kept = 0;

	for (size_t i = 0; i < config->n_backends; i++) {
		struct entry *entry = find(backends, str_of(config->backends[i].name));

		if (entry)
			entry->keep = true;
	}
	for (size_t i = 0; i < backends->n; i++) {
		struct entry *entry = &backends->entries[i];

		if (entry->keep)
			backends->entries[kept++] = (struct entry){.backend = entry->backend};
		else
			backend_unref(entry->backend);
	}
	backends->n = kept;
}
