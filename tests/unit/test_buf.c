/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "tests/tap.h"

static void test_append(void)
{
	struct buf b;

	buf_init(&b, 10);
	ok(b.len == 0 && buf_str(&b).n == 0, "a new buffer is empty");
	is_int(buf_append(&b, NULL, 0), 0, "nothing may be appended");
	is_int(buf_append(&b, "hello", 5), 0, "text is appended");
	is_int(buf_append_str(&b, STR_LITERAL("world!")), -EMSGSIZE, "not past the ceiling");
	ok(str_eq(buf_str(&b), STR_LITERAL("hello")), "a refused text leaves no trace");
	is_int(buf_append_str(&b, STR_LITERAL("world")), 0, "up to the ceiling");
	ok(str_eq(buf_str(&b), STR_LITERAL("helloworld")), "and it is all there");
	is_int(buf_append(&b, "x", 1), -EMSGSIZE, "a full buffer is full");
	buf_clear(&b);
	is_int(buf_append(&b, "again", 5), 0, "a cleared buffer takes text");
	buf_done(&b);
	ok(!b.data && b.len == 0 && b.max == 10, "a done buffer keeps its ceiling only");
	is_int(buf_append(&b, "again", 5), 0, "and may be used again");
	buf_done(&b);
	buf_done(&b);
}

static void test_no_ceiling(void)
{
	struct buf b;
	char *tail;

	buf_init(&b, SIZE_MAX);
	is_int(buf_append(&b, "a", 1), 0, "the largest ceiling works");
	is_int(buf_reserve(&b, SIZE_MAX - 1, &tail), -ENOMEM, "room for everything is no memory");
	is_int(buf_reserve(&b, SIZE_MAX, &tail), -EMSGSIZE, "room for more is past the ceiling");
	ok(str_eq(buf_str(&b), STR_LITERAL("a")), "neither harms the content");
	buf_done(&b);
}

static void test_printf(void)
{
	struct buf b;

	buf_init(&b, 100);
	is_int(buf_printf(&b, "%s=%d", "x", 42), 0, "formatted text starts a buffer");
	is_int(buf_printf(&b, "%60s", "y"), 0, "and makes it grow");
	is_u64(b.len, 64, "to the right length");
	ok(memcmp(b.data, "x=42   ", 7) == 0 && b.data[63] == 'y', "with the right text");
	is_int(buf_printf(&b, "%37s", "z"), -EMSGSIZE, "formatted text has the ceiling too");
	is_u64(b.len, 64, "and leaves the length");
	is_int(buf_printf(&b, "%36s", "z"), 0, "up to the last byte");
	is_u64(b.len, 100, "which is counted");
	is_int(buf_printf(&b, "%s", ""), 0, "a full buffer takes empty text");
	buf_done(&b);
}

static void test_reserve(void)
{
	struct buf b;
	char *tail;

	buf_init(&b, 100);
	is_int(buf_reserve(&b, 3, &tail), 0, "room is made");
	memcpy(tail, "abc", 3);
	is_u64(b.len, 0, "reserved bytes do not count yet");
	buf_commit(&b, 2);
	ok(str_eq(buf_str(&b), STR_LITERAL("ab")), "committed ones do");
	is_int(buf_reserve(&b, 99, &tail), -EMSGSIZE, "no room past the ceiling");
	is_int(buf_reserve(&b, 98, &tail), 0, "but right up to it");
	ok(tail == b.data + 2, "behind the content");
	buf_done(&b);
}

static void test_take(void)
{
	struct buf b;
	size_t len;
	char *bytes;

	buf_init(&b, 10);
	bytes = buf_take(&b, &len);
	ok(bytes && len == 0 && bytes[0] == '\0', "an empty buffer gives empty text");
	free(bytes);
	is_int(buf_append(&b, "0123456789", 10), 0, "a full buffer");
	buf_consume(&b, 4);
	bytes = buf_take(&b, &len);
	is_text(bytes, "456789", "gives what was not consumed, and a NUL");
	is_u64(len, 6, "and its length");
	ok(b.len == 0 && !b.data && b.max == 10, "and is empty");
	free(bytes);
	buf_done(&b);
}

/* A byte queue of random appends and consumes against a counter: byte i of the stream is i. */
static void test_queue(void)
{
	struct hash_random random;
	uint64_t in = 0, out = 0;
	bool intact = true;
	struct buf b;

	hash_random_init(&random, (struct hash_seed){1, 2});
	buf_init(&b, 1000);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)hash_random_below(&random, 300);
		char *tail;

		if (buf_reserve(&b, n, &tail) == 0) {
			for (size_t k = 0; k < n; k++)
				tail[k] = (char)in++;
			buf_commit(&b, n);
		} else {
			intact &= b.len + n > 1000;
		}
		n = (size_t)hash_random_below(&random, b.len + 1);
		for (size_t k = 0; k < n; k++)
			intact &= b.data[k] == (char)out++;
		buf_consume(&b, n);
		intact &= b.len == in - out && b.head + b.cap <= 2000;
	}
	ok(intact, "every byte of a queue comes out in order, within the ceiling");
	buf_done(&b);
}

int main(void)
{
	test_append();
	test_no_ceiling();
	test_printf();
	test_reserve();
	test_take();
	test_queue();
	return tap_done();
}
