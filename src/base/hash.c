/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with one
 * compression and three finalization rounds. xoshiro256** and splitmix64: Blackman and Vigna,
 * "Scrambled linear pseudorandom number generators" (2021).
 */
#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t rotate_left(uint64_t x, unsigned int bits)
{
	return x << bits | x >> (64 - bits);
}

/* Compiles to one load on little-endian machines. */
static uint64_t load_le64(const unsigned char *p)
{
	uint64_t word = 0;

	for (unsigned int i = 0; i < 8; i++)
		word |= (uint64_t)p[i] << (8 * i);
	return word;
}

struct hash_seed hash_seed_new(void)
{
	struct hash_seed seed;
	ssize_t n;

	do
		n = getrandom(&seed, sizeof(seed), 0);
	while (n < 0 && errno == EINTR);
	/* Up to 256 bytes come whole (getrandom(2)); a guessable seed would be worse than none. */
	if (n != (ssize_t)sizeof(seed))
		abort();
	return seed;
}

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotate_left(s->v1, 13) ^ s->v0;
	s->v0 = rotate_left(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate_left(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate_left(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate_left(s->v1, 17) ^ s->v2;
	s->v2 = rotate_left(s->v2, 32);
}

static inline void sip_absorb(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

uint64_t hash_bytes(struct hash_seed seed, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint64_t last = (uint64_t)n << 56;
	struct sip s = {
		seed.k0 ^ 0x736f6d6570736575u,
		seed.k1 ^ 0x646f72616e646f6du,
		seed.k0 ^ 0x6c7967656e657261u,
		seed.k1 ^ 0x7465646279746573u,
	};

	for (; n >= 8; p += 8, n -= 8)
		sip_absorb(&s, load_le64(p));
	for (unsigned int i = 0; i < n; i++)
		last |= (uint64_t)p[i] << (8 * i);
	sip_absorb(&s, last);
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_stable(uint64_t before, struct str text)
{
	return hash_bytes((struct hash_seed){before, 0x6e65787573640000u}, text.p, text.n);
}

uint64_t hash_mix(uint64_t number)
{
	number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
	number = (number ^ number >> 27) * 0x94d049bb133111ebu;
	return number ^ number >> 31;
}

static uint64_t splitmix64(uint64_t *state)
{
	return hash_mix(*state += 0x9e3779b97f4a7c15u);
}

void hash_random_init(struct hash_random *random, struct hash_seed seed)
{
	uint64_t a = seed.k0, b = seed.k1;

	/* One splitmix64 sequence never repeats a word, so the state is never all zero. */
	random->s[0] = splitmix64(&a);
	random->s[1] = splitmix64(&a);
	random->s[2] = splitmix64(&b);
	random->s[3] = splitmix64(&b);
}

uint64_t hash_random_next(struct hash_random *random)
{
	uint64_t *s = random->s;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t hash_random_below(struct hash_random *random, uint64_t bound)
{
	uint64_t value, excess;

	assert(bound > 0);
	/* 2^64 mod bound: the values refused so that the rest divide evenly. */
	excess = (0 - bound) % bound;
	do
		value = hash_random_next(random);
	while (value < excess);
	return value % bound;
}
