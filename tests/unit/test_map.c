/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdint.h>

#include "base/hash.h"
#include "tests/tap.h"

static void test_basics(void)
{
	struct map *map = need(map_new());
	int one, two;
	struct str key;
	size_t cursor = 0;
	void *value;

	ok(map && map_count(map) == 0, "a new map is empty");
	ok(!map_find(map, STR_LITERAL("a")), "nothing is found in it");
	ok(!map_remove(map, STR_LITERAL("a")), "nor removed from it");
	ok(!map_next(map, &cursor, &key, &value), "nor visited");

	is_int(map_set(map, STR_LITERAL("a"), &one), 0, "a value is set");
	ok(map_find(map, STR_LITERAL("a")) == &one, "and found");
	is_int(map_set(map, STR_LITERAL("a"), &two), 0, "and replaced");
	ok(map_find(map, STR_LITERAL("a")) == &two && map_count(map) == 1, "in its place");
	is_int(map_set(map, STR_LITERAL(""), &one), 0, "the empty key is a key");
	is_int(map_set(map, STR_LITERAL("a\0b"), &one), 0, "a key may hold NUL");
	ok(map_find(map, STR_LITERAL("")) == &one, "the empty key is found");
	ok(map_find(map, STR_LITERAL("a")) == &two, "NUL does not end a key");
	ok(!map_find(map, STR_LITERAL("A")), "keys have case");
	ok(map_remove(map, STR_LITERAL("a")) == &two, "removing gives the value");
	ok(!map_find(map, STR_LITERAL("a")) && map_count(map) == 2, "and it is gone");
	ok(!map_free(map) && !map_free(NULL), "freeing gives NULL");
}

static void test_keys_are_copied(void)
{
	struct map *map = need(map_new());
	char name[] = "name";
	int value;

	is_int(map_set(map, str_of(name), &value), 0, "a key from a buffer");
	memset(name, 'x', sizeof(name) - 1);
	ok(map_find(map, STR_LITERAL("name")) == &value, "outlives the buffer");
	map_free(map);
}

enum { KEYS = 700 };

static struct str key_of(char text[16], size_t i)
{
	return (struct str){text, (size_t)snprintf(text, 16, "key-%zu", i)};
}

static bool agrees(const struct map *map, char *const values[KEYS], size_t count)
{
	size_t cursor = 0, visited = 0;
	struct str key;
	char text[16];
	void *value;

	for (size_t i = 0; i < KEYS; i++)
		if (map_find(map, key_of(text, i)) != values[i])
			return false;
	while (map_next(map, &cursor, &key, &value)) {
		visited++;
		if (map_find(map, key) != value)
			return false;
	}
	return visited == count && map_count(map) == count;
}

/* Random sets and removals against a plain array. */
static void test_model(void)
{
	static char storage[KEYS];
	char *values[KEYS] = {NULL};
	struct hash_random random;
	struct map *map = need(map_new());
	bool same = true;
	size_t count = 0;
	char text[16];

	hash_random_init(&random, (struct hash_seed){3, 4});
	for (size_t round = 0; round < 40000; round++) {
		size_t i = (size_t)hash_random_below(&random, KEYS);
		/* Swings between mostly setting and mostly removing. */
		bool set = hash_random_below(&random, 4) > (round / 5000) % 3;

		if (set) {
			same &= map_set(map, key_of(text, i), &storage[i]) == 0;
			count += !values[i];
			values[i] = &storage[i];
		} else {
			same &= map_remove(map, key_of(text, i)) == values[i];
			count -= values[i] != NULL;
			values[i] = NULL;
		}
		if (round % 1000 == 0)
			same &= agrees(map, values, count);
	}
	ok(same && agrees(map, values, count), "a map agrees with an array of the same entries");
	map_free(map);
}

int main(void)
{
	test_basics();
	test_keys_are_copied();
	test_model();
	return tap_done();
}
