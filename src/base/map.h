/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash map from byte strings to pointers: open addressing, seeded. Keys are copied and owned
 * by the map, values never are. Not shared between threads unless it no longer changes.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct map;

struct map *map_new(void) MUST_CHECK;
/* Frees the map and its keys; accepts NULL, returns NULL. */
struct map *map_free(struct map *map);
size_t map_count(const struct map *map);
/* The value, or NULL when absent. */
void *map_find(const struct map *map, struct str key);
/* Sets or replaces. -ENOMEM leaves the map as it was. */
int map_set(struct map *map, struct str key, void *value) MUST_CHECK;
/* The value that was removed, or NULL. */
void *map_remove(struct map *map, struct str key);
/* Visits every entry in no particular order: start with *cursor = 0; false at the end.
 * The map must not change meanwhile. */
bool map_next(const struct map *map, size_t *cursor, struct str *ret_key, void **ret_value);
