/* SPDX-License-Identifier: Apache-2.0 */
#include "http/census.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/map.h"

struct census {
	_Atomic uint64_t n_connections, max_connections, max_per_address;
	_Atomic uint64_t body_bytes, max_body_bytes;
	pthread_mutex_t mutex; /* around the map */
	struct map *addresses; /* of what counts of an address: its number of connections */
};

struct census *census_new(void)
{
	struct census *census = calloc(1, sizeof(*census));

	if (!census)
		return NULL;
	pthread_mutex_init(&census->mutex, NULL);
	census->addresses = map_new();
	return census->addresses ? census : census_free(census);
}

struct census *census_free(struct census *census)
{
	if (!census)
		return NULL;
	map_free(census->addresses);
	pthread_mutex_destroy(&census->mutex);
	free(census);
	return NULL;
}

void census_set_ceilings(struct census *census, const struct census_ceilings *ceilings)
{
	atomic_store_explicit(&census->max_connections, ceilings->connections,
			      memory_order_relaxed);
	atomic_store_explicit(&census->max_per_address, ceilings->per_address,
			      memory_order_relaxed);
	atomic_store_explicit(&census->max_body_bytes, ceilings->body_bytes, memory_order_relaxed);
}

enum census_place census_enter(struct census *census, bool is_admin)
{
	uint64_t max = atomic_load_explicit(&census->max_connections, memory_order_relaxed);
	uint64_t n = atomic_fetch_add_explicit(&census->n_connections, 1, memory_order_relaxed);

	if (n < max)
		return CENSUS_REGULAR;
	if (n < max + CENSUS_RESERVE || (is_admin && n < max + 2 * CENSUS_RESERVE))
		return CENSUS_RESERVED;
	census_leave(census);
	return CENSUS_FULL;
}

void census_leave(struct census *census)
{
	atomic_fetch_sub_explicit(&census->n_connections, 1, memory_order_relaxed);
}

static struct census_origin origin_of(const struct sockaddr_storage *address)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
	struct census_origin origin = {0};
	const void *from = v6;

	if (address->ss_family == AF_INET) {
		origin.n_bytes = 4;
		from = &((const struct sockaddr_in *)address)->sin_addr;
	} else if (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6)) {
		origin.n_bytes = 4;
		from = &v6->s6_addr[12];
	} else if (address->ss_family == AF_INET6) {
		origin.n_bytes = 8;
	}
	memcpy(origin.bytes, from, origin.n_bytes);
	return origin;
}

static struct str key_of(const struct census_origin *origin)
{
	return (struct str){(const char *)origin->bytes, origin->n_bytes};
}

/* The map's values are the numbers themselves. Without memory for one, its connection is not
 * counted: that is no reason to turn a client away. */
static bool count(struct census *census, uint64_t max, struct census_origin *origin)
{
	uintptr_t n = (uintptr_t)map_find(census->addresses, key_of(origin));

	if (n >= max)
		return false;
	if (map_set(census->addresses, key_of(origin), (void *)(n + 1)) < 0)
		origin->n_bytes = 0;
	return true;
}

bool census_admit(struct census *census, const struct sockaddr_storage *address,
		  struct census_origin *ret_origin)
{
	uint64_t max = atomic_load_explicit(&census->max_per_address, memory_order_relaxed);
	struct census_origin origin = max ? origin_of(address) : (struct census_origin){0};
	bool is_admitted = true;

	if (origin.n_bytes) {
		pthread_mutex_lock(&census->mutex);
		is_admitted = count(census, max, &origin);
		pthread_mutex_unlock(&census->mutex);
	}
	if (is_admitted)
		*ret_origin = origin;
	return is_admitted;
}

void census_forget(struct census *census, const struct census_origin *origin)
{
	uintptr_t n;

	if (!origin->n_bytes)
		return;
	pthread_mutex_lock(&census->mutex);
	n = (uintptr_t)map_find(census->addresses, key_of(origin));
	/* A number that is there already is replaced without memory. */
	if (n > 1)
		(void)!map_set(census->addresses, key_of(origin), (void *)(n - 1));
	else
		(void)map_remove(census->addresses, key_of(origin));
	pthread_mutex_unlock(&census->mutex);
}

bool census_hold(struct census *census, uint64_t bytes)
{
	uint64_t max = atomic_load_explicit(&census->max_body_bytes, memory_order_relaxed);

	if (atomic_fetch_add_explicit(&census->body_bytes, bytes, memory_order_relaxed) + bytes <=
	    max)
		return true;
	census_release(census, bytes);
	return false;
}

void census_release(struct census *census, uint64_t bytes)
{
	if (bytes)
		atomic_fetch_sub_explicit(&census->body_bytes, bytes, memory_order_relaxed);
}
