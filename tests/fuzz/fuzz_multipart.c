/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line is a Content-Type, the rest a body. Where its pieces are cut changes nothing, a
 * value that is found stands where it is said to stand, and a body that was accepted holds the
 * delimiter nowhere at a line's start but where a part begins or ends.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VALUE_MAX 16

static void require(bool condition)
{
	if (!condition)
		abort();
}

static enum multipart_error scan(struct multipart *m, struct str type, struct str body, size_t step)
{
	enum multipart_error error = multipart_init(m, type, "model", VALUE_MAX);

	for (size_t at = 0; at < body.n && error == MULTIPART_OK; at += step) {
		size_t n = body.n - at < step ? body.n - at : step;

		error = multipart_feed(m, (struct str){body.p + at, n});
	}
	return error == MULTIPART_OK ? multipart_end(m) : error;
}

/* Parts, as somebody counts them who takes any line end for one. */
static size_t count_delimiters(const struct multipart *m, struct str body)
{
	struct str delimiter = {m->delimiter, m->delimiter_bytes};
	size_t n = 0;

	for (size_t i = 0; i < body.n; i++)
		if ((i == 0 || body.p[i - 1] == '\n' || body.p[i - 1] == '\r') &&
		    str_has_prefix((struct str){body.p + i, body.n - i}, delimiter))
			n++;
	return n;
}

static void check_accepted(const struct multipart *m, struct str body)
{
	require(count_delimiters(m, body) == m->n_parts + 1);
	require(m->n_parts > 0 && m->n_parts <= MULTIPART_MAX_PARTS);
	if (!m->found)
		return;
	require(m->value.len <= VALUE_MAX && m->value_offset + m->value.len < body.n);
	require(str_eq(buf_str(&m->value), (struct str){body.p + m->value_offset, m->value.len}));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str body = {(const char *)data, size}, type = str_split(&body, '\n');
	struct multipart whole, cut;
	enum multipart_error error = scan(&whole, type, body, SIZE_MAX / 2);

	require(multipart_error_text(error) != NULL);
	for (size_t step = 1; step < 8; step += 3) {
		require(scan(&cut, type, body, step) == error);
		require(cut.found == whole.found && cut.value_offset == whole.value_offset);
		multipart_done(&cut);
	}
	if (error == MULTIPART_OK)
		check_accepted(&whole, body);
	multipart_done(&whole);
	return 0;
}
