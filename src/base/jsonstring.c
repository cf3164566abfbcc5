/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonstring.h"

#include <assert.h>
#include <errno.h>

enum { CHARACTER_BYTES = 4 }; /* of the longest character in UTF-8 */
static_assert(JSONSTRING_SHORT_BYTES + CHARACTER_BYTES == JSONSTRING_BLOCK_BYTES,
	      "one more character fits behind a short string");

typedef signed char vector __attribute__((vector_size(16)));

/* Nonzero lanes where a byte ends a run of plain ASCII; bytes from 0x80 on are negative. */
static inline vector special_lanes(vector bytes)
{
	return (bytes < 0x20) | (bytes == '"') | (bytes == '\\');
}

/* The index of the first nonzero lane, 16 when there is none. */
static inline size_t first_lane(vector lanes)
{
	uint64_t halves[2];

	memcpy(halves, &lanes, sizeof(halves));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	if (halves[0])
		return (size_t)__builtin_ctzll(halves[0]) / 8;
	return halves[1] ? 8 + (size_t)__builtin_ctzll(halves[1]) / 8 : 16;
#else
	if (halves[0])
		return (size_t)__builtin_clzll(halves[0]) / 8;
	return halves[1] ? 8 + (size_t)__builtin_clzll(halves[1]) / 8 : 16;
#endif
}

static inline bool is_special(char c)
{
	return (signed char)c < 0x20 || c == '"' || c == '\\';
}

/* Prompts and images are long: past them in large steps. */
static const char *skip_plain_blocks(const char *p, const char *end)
{
	vector v[4];

	while ((size_t)(end - p) >= sizeof(v)) {
		memcpy(v, p, sizeof(v));
		if (first_lane(special_lanes(v[0]) | special_lanes(v[1]) | special_lanes(v[2]) |
			       special_lanes(v[3])) < sizeof(v[0]))
			break;
		p += sizeof(v);
	}
	return p;
}

/* The first byte from `p` on that is not plain ASCII, or `end`. Names are short: one step does. */
static const char *skip_plain(const char *p, const char *end)
{
	vector v;

	while ((size_t)(end - p) >= sizeof(v)) {
		size_t n;

		memcpy(&v, p, sizeof(v));
		n = first_lane(special_lanes(v));
		p += n;
		if (n < sizeof(v))
			return p;
		p = skip_plain_blocks(p, end);
	}
	while (p < end && !is_special(*p))
		p++;
	return p;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The four digits of a \u escape. */
static bool read_hex4(const char **p, const char *end, uint32_t *ret_unit)
{
	uint32_t unit = 0;

	if (end - *p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit((*p)[i]);

		if (digit < 0)
			return false;
		unit = unit << 4 | (uint32_t)digit;
	}
	*p += 4;
	*ret_unit = unit;
	return true;
}

/* RFC 8259 section 7: characters beyond U+FFFF are a pair of escapes, UTF-16's surrogates. */
static bool read_unicode_escape(const char **p, const char *end, uint32_t *ret_code)
{
	uint32_t high, low;

	if (!read_hex4(p, end, &high))
		return false;
	if (high < 0xD800 || high > 0xDFFF) {
		*ret_code = high;
		return true;
	}
	if (high > 0xDBFF || end - *p < 2 || (*p)[0] != '\\' || (*p)[1] != 'u')
		return false;
	*p += 2;
	if (!read_hex4(p, end, &low) || low < 0xDC00 || low > 0xDFFF)
		return false;
	*ret_code = 0x10000 + ((high - 0xD800) << 10 | (low - 0xDC00));
	return true;
}

/* `*p` stands behind the backslash, and afterwards behind the escape. */
static bool read_escape(const char **p, const char *end, uint32_t *ret_code)
{
	static const char codes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";

	if (*p == end)
		return false;
	if (**p == 'u') {
		++*p;
		return read_unicode_escape(p, end, ret_code);
	}
	for (size_t i = 0; i + 1 < sizeof(codes); i += 2) {
		if (**p == codes[i]) {
			++*p;
			*ret_code = (unsigned char)codes[i + 1];
			return true;
		}
	}
	return false;
}

static size_t encode_utf8(uint32_t code, char out[CHARACTER_BYTES])
{
	unsigned int shift;
	size_t n;

	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	shift = 6 * ((unsigned int)n - 1);
	out[0] = (char)((0xF00u >> n & 0xFF) | code >> shift);
	for (size_t i = 1; i < n; i++) {
		shift -= 6;
		out[i] = (char)(0x80 | (code >> shift & 0x3F));
	}
	return n;
}

static enum json_error scan_escape(const char **p, const char *end, struct jsonstring *string)
{
	const char *after = *p + 1;
	uint32_t code;

	if (!read_escape(&after, end, &code))
		return JSON_BAD_ESCAPE;
	string->has_escape = true;
	string->has_nul |= code == 0;
	*p = after;
	return JSON_OK;
}

/* Characters beyond ASCII rarely stand alone. */
static enum json_error scan_beyond_ascii(const char **p, const char *end)
{
	do {
		size_t n = utf8_first((struct str){*p, (size_t)(end - *p)});

		if (n == 0)
			return JSON_BAD_UTF8;
		*p += n;
	} while (*p < end && (signed char)**p < 0);
	return JSON_OK;
}

enum json_error jsonstring_scan(const char **p, const char *end, struct jsonstring *ret_string)
{
	struct jsonstring string = {.text.p = ++*p};
	enum json_error error = JSON_OK;

	for (;;) {
		*p = skip_plain(*p, end);
		if (*p == end)
			return JSON_SYNTAX;
		if (**p == '"')
			break;
		if (**p == '\\')
			error = scan_escape(p, end, &string);
		else if ((signed char)**p < 0)
			error = scan_beyond_ascii(p, end);
		else
			error = JSON_SYNTAX;
		if (error != JSON_OK)
			return error;
	}
	string.text.n = (size_t)(*p - string.text.p);
	++*p;
	*ret_string = string;
	return JSON_OK;
}

/* Takes one character off the inside of a string; 0 when it holds none that is legal. */
static size_t take_character(struct str *rest, char out[CHARACTER_BYTES])
{
	const char *p = rest->p, *end = rest->p + rest->n;
	uint32_t code;
	size_t n;

	if (rest->n && *p == '\\') {
		p++;
		if (!read_escape(&p, end, &code))
			return 0;
		n = encode_utf8(code, out);
	} else {
		n = utf8_first(*rest);
		memcpy(out, p, n);
		p += n;
	}
	*rest = (struct str){p, (size_t)(end - p)};
	return n;
}

struct str jsonstring_begin(struct str text, char block[JSONSTRING_BLOCK_BYTES])
{
	size_t len = 0;

	while (text.n && len <= JSONSTRING_SHORT_BYTES) {
		size_t n = take_character(&text, block + len);

		assert(n > 0);
		len += n;
	}
	return (struct str){block, len};
}

int json_string_decode(struct json_value value, char *out, size_t size, size_t *ret_len)
{
	struct str rest;
	size_t len = 0;

	if (value.type != JSON_STRING || value.text.n < 2)
		return -EINVAL;
	rest = (struct str){value.text.p + 1, value.text.n - 2};
	while (rest.n) {
		char character[CHARACTER_BYTES];
		size_t n = take_character(&rest, character);

		if (n == 0)
			return -EINVAL;
		if (n > size - len)
			return -EMSGSIZE;
		memcpy(out + len, character, n);
		len += n;
	}
	*ret_len = len;
	return 0;
}
