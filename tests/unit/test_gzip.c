/* SPDX-License-Identifier: Apache-2.0 */
#include "export/gzip.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/hash.h"
#include "tests/tap.h"

enum { TEXT_BYTES = 300000, GZIP_HEAD = 16 };

/* Inflates a whole stream that must end exactly where its bytes do. */
static size_t inflated(struct str compressed, char *out, size_t size, bool *ret_ended)
{
	z_stream stream = {.next_in = (Bytef *)compressed.p, .avail_in = (uInt)compressed.n};
	int r;

	if (inflateInit2(&stream, GZIP_HEAD + MAX_WBITS) != Z_OK)
		abort();
	stream.next_out = (Bytef *)out;
	stream.avail_out = (uInt)size;
	r = inflate(&stream, Z_SYNC_FLUSH);
	inflateEnd(&stream);
	*ret_ended = r == Z_STREAM_END && stream.avail_in == 0;
	return size - stream.avail_out;
}

static char *text_of(bool random)
{
	struct hash_random numbers;
	char *text = malloc(TEXT_BYTES);

	if (!text)
		abort();
	hash_random_init(&numbers, (struct hash_seed){1, 2});
	for (size_t i = 0; i < TEXT_BYTES; i++)
		text[i] = random ? (char)hash_random_next(&numbers) : "nexus_total "[i % 12];
	return text;
}

static void test_pieces(bool random, size_t piece_bytes)
{
	char *text = text_of(random), *back = malloc(TEXT_BYTES + 1);
	struct gzip *gzip = need(gzip_new());
	struct buf out;
	size_t at = 0, n_silent = 0;
	bool ended;

	buf_init(&out, 1 << 20);
	if (!gzip || !back)
		abort();
	while (at < TEXT_BYTES) {
		size_t n = TEXT_BYTES - at < piece_bytes ? TEXT_BYTES - at : piece_bytes;
		size_t before = out.len;

		if (gzip_write(gzip, (struct str){text + at, n}, at + n == TEXT_BYTES, &out) < 0)
			break;
		at += n;
		n_silent += out.len == before;
		/* What was written so far can be read so far. */
		if (inflated(buf_str(&out), back, TEXT_BYTES + 1, &ended) != at)
			break;
	}
	is_u64(at, TEXT_BYTES, "%zu bytes at a time: every piece comes out whole", piece_bytes);
	is_u64(n_silent, 0, "and none is held back");
	ok(ended && memcmp(text, back, TEXT_BYTES) == 0, "and all of it is the text");
	ok(random || out.len < TEXT_BYTES / 20, "a text shrinks");
	gzip_free(gzip);
	buf_done(&out);
	free(text);
	free(back);
}

static void test_ceiling(void)
{
	struct gzip *gzip = need(gzip_new());
	char *text = text_of(true);
	struct buf out;

	buf_init(&out, 40000);
	is_int(gzip_write(gzip, (struct str){text, TEXT_BYTES}, true, &out), -EMSGSIZE,
	       "the buffer's ceiling holds");
	buf_done(&out);
	gzip_free(gzip);
	free(text);
}

static void test_empty(void)
{
	struct gzip *gzip = need(gzip_new());
	struct buf out;
	char back[1];
	bool ended;

	buf_init(&out, 1 << 16);
	is_int(gzip_write(gzip, (struct str){NULL, 0}, true, &out), 0, "nothing at all");
	is_u64(inflated(buf_str(&out), back, sizeof(back), &ended), 0, "is nothing");
	ok(ended, "in a whole stream");
	buf_done(&out);
	gzip_free(gzip);
}

int main(void)
{
	test_pieces(false, 65536);
	test_pieces(true, 65536);
	test_pieces(false, 16384);
	test_pieces(true, 100001);
	test_ceiling();
	test_empty();
	ok(gzip_free(NULL) == NULL, "NULL may be freed");
	return tap_done();
}
