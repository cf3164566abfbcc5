/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear probing at a load of at most three quarters; removal shifts the cluster back, so there
 * are no tombstones and a lookup ends at the first empty slot.
 */
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

enum { FIRST_SLOTS = 8 };

struct slot {
	char *key; /* NULL: empty */
	size_t key_len;
	uint64_t hash;
	void *value;
};

struct map {
	struct hash_seed seed;
	struct slot *slots;
	size_t n_slots; /* a power of two, or 0 before the first map_set() */
	size_t count;
};

struct map *map_new(void)
{
	struct map *map = calloc(1, sizeof(*map));

	if (!map)
		return NULL;
	map->seed = hash_seed_new();
	return map;
}

struct map *map_free(struct map *map)
{
	if (!map)
		return NULL;
	for (size_t i = 0; i < map->n_slots; i++)
		free(map->slots[i].key);
	free(map->slots);
	free(map);
	return NULL;
}

size_t map_count(const struct map *map)
{
	return map->count;
}

/* The slot that holds the key, or the empty one where it would go; there always is one. */
static struct slot *probe(const struct map *map, uint64_t hash, struct str key)
{
	size_t mask = map->n_slots - 1;

	for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
		struct slot *slot = &map->slots[i];

		if (!slot->key)
			return slot;
		if (slot->hash == hash && str_eq((struct str){slot->key, slot->key_len}, key))
			return slot;
	}
}

static struct slot *find_slot(const struct map *map, struct str key)
{
	struct slot *slot;

	if (map->count == 0)
		return NULL;
	slot = probe(map, hash_bytes(map->seed, key.p, key.n), key);
	return slot->key ? slot : NULL;
}

void *map_find(const struct map *map, struct str key)
{
	struct slot *slot = find_slot(map, key);

	return slot ? slot->value : NULL;
}

static int grow(struct map *map)
{
	size_t n_slots = map->n_slots ? map->n_slots * 2 : FIRST_SLOTS;
	struct slot *slots = calloc(n_slots, sizeof(*slots));
	size_t mask = n_slots - 1;

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < map->n_slots; i++) {
		size_t to = (size_t)map->slots[i].hash & mask;

		if (!map->slots[i].key)
			continue;
		while (slots[to].key)
			to = (to + 1) & mask;
		slots[to] = map->slots[i];
	}
	free(map->slots);
	map->slots = slots;
	map->n_slots = n_slots;
	return 0;
}

int map_set(struct map *map, struct str key, void *value)
{
	uint64_t hash = hash_bytes(map->seed, key.p, key.n);
	struct slot *slot = map->n_slots ? probe(map, hash, key) : NULL;
	char *copy;

	if (slot && slot->key) {
		slot->value = value;
		return 0;
	}
	copy = str_dup(key);
	if (!copy)
		return -ENOMEM;
	if (!slot || map->count + 1 > map->n_slots / 4 * 3) {
		if (grow(map) < 0) {
			free(copy);
			return -ENOMEM;
		}
		slot = probe(map, hash, key);
	}
	*slot = (struct slot){copy, key.n, hash, value};
	map->count++;
	return 0;
}

/* Closes the hole with the next entry of the cluster that may stand there, and so on. */
static void close_hole(struct map *map, size_t hole)
{
	size_t mask = map->n_slots - 1;

	for (size_t i = (hole + 1) & mask; map->slots[i].key; i = (i + 1) & mask) {
		size_t home = (size_t)map->slots[i].hash & mask;

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		map->slots[hole] = map->slots[i];
		hole = i;
	}
	map->slots[hole] = (struct slot){0};
}

void *map_remove(struct map *map, struct str key)
{
	struct slot *slot = find_slot(map, key);
	void *value;

	if (!slot)
		return NULL;
	value = slot->value;
	free(slot->key);
	close_hole(map, (size_t)(slot - map->slots));
	map->count--;
	return value;
}

bool map_next(const struct map *map, size_t *cursor, struct str *ret_key, void **ret_value)
{
	while (*cursor < map->n_slots) {
		const struct slot *slot = &map->slots[(*cursor)++];

		if (!slot->key)
			continue;
		*ret_key = (struct str){slot->key, slot->key_len};
		*ret_value = slot->value;
		return true;
	}
	return false;
}
