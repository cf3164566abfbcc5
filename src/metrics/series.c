/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables are probed linearly and filled at most by half. One that is full is replaced by one of
 * twice the size; the old one stays, because a reader may be inside it, so all of them together
 * are no larger than the newest.
 */
#include "metrics/series.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

enum { FIRST_SLOTS = 1024 };

struct series *series_new(enum metric metric, const struct str *values, struct str labels)
{
	size_t n_values = metric_row(metric)->n_labels;
	size_t size = sizeof(struct series) + n_values * sizeof(struct str) + labels.n;
	struct series *series;
	struct str *copies;
	char *bytes;

	for (size_t i = 0; i < n_values; i++)
		size += values[i].n;
	series = calloc(1, size);
	if (!series)
		return NULL;
	copies = (struct str *)(series + 1);
	bytes = (char *)(copies + n_values);
	for (size_t i = 0; i < n_values; i++) {
		copies[i] = (struct str){bytes, values[i].n};
		if (values[i].n)
			memcpy(bytes, values[i].p, values[i].n);
		bytes += values[i].n;
	}
	if (labels.n)
		memcpy(bytes, labels.p, labels.n);
	series->metric = metric;
	atomic_store_explicit(&series->born_msec, clock_realtime_msec(), memory_order_relaxed);
	series->values = copies;
	series->labels = (struct str){bytes, labels.n};
	return series;
}

struct series *series_free(struct series *series)
{
	free(series);
	return NULL;
}

/*
 * Half the time of hash_bytes(), which a request would notice. Names come from backends, not from
 * clients, the seed is secret, and a name that is known costs no memory: enough against keys that
 * are made to collide.
 */
static uint64_t fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
	__extension__ typedef unsigned __int128 u128;
	u128 product = (u128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
	uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX), high = (a >> 32) * (b >> 32);
	uint64_t left = (a >> 32) * (b & UINT32_MAX), right = (a & UINT32_MAX) * (b >> 32);
	uint64_t middle = (low >> 32) + (left & UINT32_MAX) + (right & UINT32_MAX);

	low = middle << 32 | (low & UINT32_MAX);
	high += (left >> 32) + (right >> 32) + (middle >> 32);
	return low ^ high;
#endif
}

static uint64_t load64(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* Fewer than 8 bytes; all of them count, some perhaps twice. */
static uint64_t load_few(const char *p, size_t n)
{
	uint32_t low, high;

	if (n >= sizeof(low)) {
		memcpy(&low, p, sizeof(low));
		memcpy(&high, p + n - sizeof(high), sizeof(high));
		return (uint64_t)high << 32 | low;
	}
	if (n == 0)
		return 0;
	return (uint64_t)(unsigned char)p[0] << 16 | (uint64_t)(unsigned char)p[n / 2] << 8 |
	       (unsigned char)p[n - 1];
}

static uint64_t absorb(uint64_t hash, uint64_t secret, struct str value)
{
	size_t n = value.n, at = 0;

	/* Where one value ends matters, too. */
	hash ^= n;
	for (; at + 8 < n; at += 8)
		hash = fold(hash ^ load64(value.p + at), secret);
	return fold(hash ^ (n >= 8 ? load64(value.p + n - 8) : load_few(value.p, n)), secret);
}

struct series_key series_key_of_values(struct hash_seed seed, enum metric metric,
				       const struct str *values)
{
	struct series_key key = {.metric = metric, .values = values};
	uint64_t secret = seed.k1 | 1;

	key.hash = fold(seed.k0 + (uint64_t)metric, secret);
	for (size_t i = 0; i < metric_row(metric)->n_labels; i++)
		key.hash = absorb(key.hash, secret, values[i]);
	return key;
}

struct series_key series_key_of_labels(struct hash_seed seed, enum metric metric, struct str labels)
{
	seed.k0 ^= (uint64_t)metric;
	return (struct series_key){
		.metric = metric,
		.by_labels = true,
		.labels = labels,
		.hash = hash_bytes(seed, labels.p, labels.n),
	};
}

struct slot {
	_Atomic uint64_t hash;
	_Atomic(struct series *) series; /* NULL: empty */
};

struct series_table {
	struct series_table *previous;
	size_t n_slots, count;
	struct slot slots[];
};

static struct series_table *table_new(size_t n_slots)
{
	struct series_table *table = calloc(1, sizeof(*table) + n_slots * sizeof(struct slot));

	if (table)
		table->n_slots = n_slots;
	return table;
}

struct series_table *series_table_new(void)
{
	return table_new(FIRST_SLOTS);
}

struct series_table *series_table_free(struct series_table *table)
{
	while (table) {
		struct series_table *previous = table->previous;

		free(table);
		table = previous;
	}
	return NULL;
}

static bool matches(const struct series *series, const struct series_key *key)
{
	size_t n_values = metric_row(key->metric)->n_labels;

	if (series->metric != key->metric)
		return false;
	if (key->by_labels)
		return str_eq(series->labels, key->labels);
	for (size_t i = 0; i < n_values; i++)
		if (!str_eq(series->values[i], key->values[i]))
			return false;
	return true;
}

struct series *series_table_find(_Atomic(struct series_table *) *pointer,
				 const struct series_key *key)
{
	/* Pairs with the release in series_table_reserve(). */
	struct series_table *table = atomic_load_explicit(pointer, memory_order_acquire);
	size_t mask = table->n_slots - 1;

	for (size_t i = (size_t)key->hash & mask;; i = (i + 1) & mask) {
		struct slot *slot = &table->slots[i];
		/* Pairs with the release in fill(): the hash, the series and its cells are there.
		 */
		struct series *series = atomic_load_explicit(&slot->series, memory_order_acquire);

		if (!series)
			return NULL;
		if (atomic_load_explicit(&slot->hash, memory_order_relaxed) == key->hash &&
		    matches(series, key))
			return series;
	}
}

static void fill(struct series_table *table, uint64_t hash, struct series *series)
{
	size_t mask = table->n_slots - 1;
	size_t i = (size_t)hash & mask;

	while (atomic_load_explicit(&table->slots[i].series, memory_order_relaxed))
		i = (i + 1) & mask;
	atomic_store_explicit(&table->slots[i].hash, hash, memory_order_relaxed);
	/* Pairs with the acquire in series_table_find(). */
	atomic_store_explicit(&table->slots[i].series, series, memory_order_release);
	table->count++;
}

int series_table_reserve(_Atomic(struct series_table *) *pointer)
{
	struct series_table *table = atomic_load_explicit(pointer, memory_order_relaxed);
	struct series_table *larger;

	if (table->count < table->n_slots / 2)
		return 0;
	larger = table_new(2 * table->n_slots);
	if (!larger)
		return -ENOMEM;
	for (size_t i = 0; i < table->n_slots; i++) {
		struct slot *slot = &table->slots[i];
		struct series *series = atomic_load_explicit(&slot->series, memory_order_relaxed);

		if (series)
			fill(larger, atomic_load_explicit(&slot->hash, memory_order_relaxed),
			     series);
	}
	larger->previous = table;
	/* Pairs with the acquire in series_table_find(). */
	atomic_store_explicit(pointer, larger, memory_order_release);
	return 0;
}

void series_table_add(_Atomic(struct series_table *) *pointer, const struct series_key *key,
		      struct series *series)
{
	fill(atomic_load_explicit(pointer, memory_order_relaxed), key->hash, series);
}
