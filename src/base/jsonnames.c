/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonnames.h"

#include <string.h>

#include "base/jsonstring.h"

/* One hash over the blocks of a name, of which the first is already decoded. Its seed is no secret:
 * who makes two names collide has only his own document refused. */
static uint64_t hash_name(struct str first, struct str rest)
{
	struct hash_seed seed = {0};
	uint64_t hash = hash_bytes(seed, first.p, first.n);
	char block[JSONSTRING_BLOCK_BYTES];

	while (rest.n) {
		struct str next = jsonstring_take_block(&rest, block);

		seed.k0 ^= hash;
		hash = hash_bytes(seed, next.p, next.n);
	}
	return hash ? hash : 1; /* 0 marks an empty slot */
}

/* The slot of a hash, or the empty one where it would be. Which slots are near each other is a
 * secret. */
static uint64_t *name_slot(struct jsonnames *names, uint64_t hash)
{
	size_t slot = hash_bytes(names->seed, &hash, sizeof(hash)) % JSONNAMES_SLOTS;

	while (names->spread[slot] && names->spread[slot] != hash)
		slot = (slot + 1) % JSONNAMES_SLOTS;
	return &names->spread[slot];
}

static void spread_names(struct jsonnames *names)
{
	names->seed = hash_seed_new();
	memset(names->spread, 0, sizeof(names->spread));
	for (size_t i = 0; i < JSONNAMES_FEW; i++)
		*name_slot(names, names->few[i]) = names->few[i];
}

/* Most objects have few members: a look at each is cheaper than clearing a table. */
enum json_error jsonnames_add(struct jsonnames *names, struct str first, struct str rest)
{
	uint64_t hash = hash_name(first, rest), *slot;

	if (names->n < JSONNAMES_FEW) {
		for (size_t i = 0; i < names->n; i++)
			if (names->few[i] == hash)
				return JSON_DUPLICATE_NAME;
		names->few[names->n++] = hash;
		return JSON_OK;
	}
	if (names->n == JSONNAMES_FEW)
		spread_names(names);
	slot = name_slot(names, hash);
	if (*slot)
		return JSON_DUPLICATE_NAME;
	if (names->n == JSONSCAN_MAX_NAMES)
		return JSON_TOO_MANY_NAMES;
	*slot = hash;
	names->n++;
	return JSON_OK;
}
