/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded hashing for every table whose keys come from outside (SipHash-1-3, so that
 * a peer who does not know the seed cannot make keys collide).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct hash_seed {
	uint64_t k0, k1;
};

/* From getrandom(2); aborts if the kernel has no randomness to give. */
struct hash_seed hash_seed_new(void);
uint64_t hash_bytes(struct hash_seed seed, const void *bytes, size_t n);

/* The same in every process on every machine, so that gateways agree; for what may collide. Hashes
 * text after text into one when each is given the hash so far, the first one 0. */
uint64_t hash_stable(uint64_t before, struct str text);

/* Spreads a number over all bits: different ones never become equal. Quick, and no secret. */
uint64_t hash_mix(uint64_t number);

/* Uniform pseudo-random numbers that need no secrecy (jitter, the random strategy): xoshiro256**,
 * one per thread. */
struct hash_random {
	uint64_t s[4];
};
void hash_random_init(struct hash_random *random, struct hash_seed seed);
uint64_t hash_random_next(struct hash_random *random);
/* Uniform in [0, bound), bound > 0. */
uint64_t hash_random_below(struct hash_random *random, uint64_t bound);
