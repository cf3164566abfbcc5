/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "base/clock.h"
#include "tests/tap.h"

/* Known answers from another implementation of SipHash-1-3. */
static void test_known_answers(void)
{
	static const struct {
		struct hash_seed seed;
		const char *text;
		uint64_t hash;
	} cases[] = {
		{{0, 0}, "a", 0x407448d2b89b1813},
		{{0, 0}, "abc", 0xc03bc3a0042630f2},
		{{0, 0}, "1234567", 0xa33d651594fdae81},
		{{0, 0}, "12345678", 0x3489982430560a87},
		{{0, 0}, "123456789", 0x0fbc0f0007965fcf},
		{{0, 0}, "The quick brown fox jumps over the lazy dog", 0x8df676d3d00c451e},
		{{0xdc504fd368cd90af, 0xb920bb9ffe99e9c1}, "a", 0xfe4a47335692551e},
		{{0xdc504fd368cd90af, 0xb920bb9ffe99e9c1}, "12345678", 0x84eb586ab30cc7f5},
		{{0xdc504fd368cd90af, 0xb920bb9ffe99e9c1},
		 "The quick brown fox jumps over the lazy dog",
		 0x8464245bd96a618c},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		is_u64(hash_bytes(cases[i].seed, cases[i].text, strlen(cases[i].text)),
		       cases[i].hash, "SipHash-1-3 of \"%s\" (%zu)", cases[i].text, i);
	ok(hash_bytes((struct hash_seed){0, 0}, NULL, 0) !=
		   hash_bytes((struct hash_seed){0, 1}, NULL, 0),
	   "nothing hashes too, and with the seed");
}

static void test_seed(void)
{
	struct hash_seed a = hash_seed_new(), b = hash_seed_new();

	ok(a.k0 != b.k0 && a.k1 != b.k1, "seeds differ");
}

/* Keys that somebody chose to fall into one slot of a table with a seed that he knows. */
static void test_flooding(void)
{
	enum { SLOTS = 256, KEYS = 1000 };
	const struct hash_seed known = {0, 0}, fresh = hash_seed_new();
	unsigned int counts[SLOTS] = {0}, most = 0;
	size_t n = 0;

	for (uint64_t key = 0; n < KEYS; key++) {
		if (hash_bytes(known, &key, sizeof(key)) % SLOTS)
			continue;
		counts[hash_bytes(fresh, &key, sizeof(key)) % SLOTS]++;
		n++;
	}
	for (size_t i = 0; i < SLOTS; i++)
		most = counts[i] > most ? counts[i] : most;
	ok(most < 30,
	   "keys that collide under one seed are spread under another: %u of %d in a slot", most,
	   KEYS);
}

static void test_random(void)
{
	/* The outputs for this state are published with the reference implementation's ports. */
	static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
	struct hash_random random = {{1, 2, 3, 4}}, again;
	unsigned int counts[10] = {0};
	bool even = true;

	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		is_u64(hash_random_next(&random), want[i], "xoshiro256** number %zu", i);

	hash_random_init(&random, (struct hash_seed){0, 0});
	ok(random.s[0] | random.s[1] | random.s[2] | random.s[3], "a zero seed is no zero state");
	hash_random_init(&again, (struct hash_seed){0, 0});
	is_u64(hash_random_next(&again), hash_random_next(&random), "a seed fixes the sequence");

	for (int i = 0; i < 100000; i++)
		counts[hash_random_below(&random, 10)]++;
	for (int i = 0; i < 10; i++)
		even &= counts[i] > 9500 && counts[i] < 10500;
	ok(even, "numbers below ten are evenly spread");
	is_u64(hash_random_below(&random, 1), 0, "only zero is below one");
	ok(hash_random_below(&random, UINT64_MAX) < UINT64_MAX, "the largest bound holds");
}

static void test_clock(void)
{
	uint64_t before = clock_monotonic_ns();

	ok(before > 0 && clock_monotonic_ns() >= before, "monotonic time does not go back");
	ok(clock_realtime_msec() > 0, "there is a date");
}

/* As it was at first: a change would move every session. */
#define STABLE_GPU_1 0xae346119c55b1029u

static void test_stable(void)
{
	uint64_t hash = hash_stable(0, STR_LITERAL("gpu-1"));

	ok(hash == STABLE_GPU_1, "the same everywhere and for ever: %#llx",
	   (unsigned long long)hash);
	ok(hash_stable(hash, STR_LITERAL("x")) != hash_stable(0, STR_LITERAL("gpu-1x")),
	   "texts after another are not one text");
	ok(hash_stable(hash, STR_LITERAL("x")) != hash_stable(1, STR_LITERAL("x")),
	   "what came before counts");
}

int main(void)
{
	test_known_answers();
	test_seed();
	test_flooding();
	test_random();
	test_clock();
	test_stable();
	return tap_done();
}
