/* SPDX-License-Identifier: Apache-2.0 */
#include "export/gzip.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

enum {
	LEVEL = 1,
	GZIP_WINDOW_BITS = 16 + MAX_WBITS, /* 16: zlib writes gzip's head and tail */
	MEMORY_LEVEL = 8,
	STEP_BYTES = 16384,
};

struct gzip {
	z_stream stream;
};

struct gzip *gzip_new(void)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	if (gzip && deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL,
				 Z_DEFAULT_STRATEGY) == Z_OK)
		return gzip;
	free(gzip);
	return NULL;
}

struct gzip *gzip_free(struct gzip *gzip)
{
	if (gzip)
		deflateEnd(&gzip->stream);
	free(gzip);
	return NULL;
}

int gzip_write(struct gzip *gzip, struct str input, bool last, struct buf *out)
{
	z_stream *stream = &gzip->stream;

	assert(input.n <= UINT_MAX);
	stream->next_in = (const Bytef *)input.p;
	stream->avail_in = (uInt)input.n;
	do {
		char *tail;
		int r = buf_reserve(out, STEP_BYTES, &tail);

		if (r < 0)
			return r;
		stream->next_out = (Bytef *)tail;
		stream->avail_out = STEP_BYTES;
		/* It fails only by having nothing left to do, when the last step was just full. */
		(void)deflate(stream, last ? Z_FINISH : Z_SYNC_FLUSH);
		buf_commit(out, STEP_BYTES - stream->avail_out);
	} while (stream->avail_out == 0);
	return 0;
}
