/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as Accept and as Accept-Encoding: nothing is chosen that the header does not speak of,
 * and what RFC 9110 section 12.5 calls meaningless is: the order of the ranges, the case of their
 * names, blanks around them, and ranges of what nobody offers.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "export/negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VARIANT_MAX_BYTES = 1 << 22 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool has_nocase(struct str text, struct str word)
{
	for (size_t i = 0; i + word.n <= text.n; i++)
		if (str_eq_nocase((struct str){text.p + i, word.n}, word))
			return true;
	return false;
}

static void append(struct buf *out, struct str text)
{
	require(buf_append_str(out, text) == 0);
}

static void require_same(struct str header, struct buf *variant)
{
	struct str other = buf_str(variant);

	require(negotiate_gzip(header) == negotiate_gzip(other));
	require(negotiate_exposition(header) == negotiate_exposition(other));
	buf_clear(variant);
}

static void from_the_end(struct str header, struct buf *out)
{
	size_t end = header.n;

	for (size_t at = header.n + 1; at-- > 0;) {
		if (at > 0 && header.p[at - 1] != ',')
			continue;
		if (end < header.n)
			append(out, STR_LITERAL(","));
		append(out, (struct str){header.p + at, end - at});
		end = at ? at - 1 : 0;
	}
}

static void other_case(struct str header, struct buf *out)
{
	for (size_t i = 0; i < header.n; i++) {
		char c = header.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
			c ^= 0x20;
		append(out, (struct str){&c, 1});
	}
}

static void with_blanks(struct str header, struct buf *out)
{
	append(out, STR_LITERAL(" "));
	for (size_t i = 0; i < header.n; i++)
		append(out,
		       header.p[i] == ',' ? STR_LITERAL(" ,\t ") : (struct str){header.p + i, 1});
	append(out, STR_LITERAL("\t"));
}

static void with_strangers(struct str header, struct buf *out)
{
	append(out, STR_LITERAL("image/png;q=0.9, br,"));
	append(out, header);
	append(out, STR_LITERAL(",text/html;level=1, zstd;q=0"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const variants[])(struct str header, struct buf * out) = {
		from_the_end, other_case, with_blanks, with_strangers};
	struct str header = {size ? (const char *)data : "", size};
	bool has_star = has_nocase(header, STR_LITERAL("*"));
	struct buf variant;

	require(!negotiate_gzip(header) || has_star || has_nocase(header, STR_LITERAL("gzip")));
	require(negotiate_exposition(header) == EXPOSITION_CLASSIC || has_star ||
		has_nocase(header, STR_LITERAL("application/openmetrics-text")));
	/* Within quotes a comma is none. */
	if (size == 0 || size > 65536 || memchr(data, '"', size))
		return 0;
	buf_init(&variant, VARIANT_MAX_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
		variants[i](header, &variant);
		require_same(header, &variant);
	}
	buf_done(&variant);
	return 0;
}
