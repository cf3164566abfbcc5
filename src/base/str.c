/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>

static unsigned char ascii_lower(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte | 0x20) : byte;
}

int str_compare(struct str a, struct str b)
{
	size_t shorter = a.n < b.n ? a.n : b.n;
	int order = shorter ? memcmp(a.p, b.p, shorter) : 0;

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

/* The first character of `s`, folded if that is ASCII; else only its first byte. */
static char take_folded(struct str *s)
{
	static const struct {
		struct str text;
		char folded;
	} odd[] = {{STR_INIT("\xC5\xBF"), 's'}, {STR_INIT("\xE2\x84\xAA"), 'k'}};
	struct str all = *s;

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		if (!str_has_prefix(all, odd[i].text))
			continue;
		*s = (struct str){all.p + odd[i].text.n, all.n - odd[i].text.n};
		return odd[i].folded;
	}
	*s = (struct str){all.p + 1, all.n - 1};
	return (char)ascii_lower(*all.p);
}

bool str_folds_to(struct str s, struct str lower)
{
	size_t i = 0;

	while (s.n > 0 && i < lower.n && take_folded(&s) == lower.p[i])
		i++;
	return s.n == 0 && i == lower.n;
}

bool str_has_prefix(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq((struct str){s.p, prefix.n}, prefix);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
	while (s.n && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str str_split(struct str *rest, char separator)
{
	struct str first = *rest;
	const char *cut = first.n ? memchr(first.p, separator, first.n) : NULL;

	if (!cut) {
		*rest = (struct str){NULL, 0};
		return first;
	}
	first.n = (size_t)(cut - first.p);
	*rest = (struct str){cut + 1, rest->n - first.n - 1};
	return first;
}

bool str_list_has(struct str list, struct str element)
{
	while (list.p)
		if (str_eq_nocase(str_trim(str_split(&list, ',')), element))
			return true;
	return false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int str_percent_decode(struct str s, char *out, size_t size, size_t *ret_n)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%' && s.n - i > 2 && hex_digit(s.p[i + 1]) >= 0 &&
		    hex_digit(s.p[i + 2]) >= 0) {
			c = (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]));
			i += 2;
		}
		if (n == size)
			return -EMSGSIZE;
		out[n++] = c;
	}
	*ret_n = n;
	return 0;
}

int str_to_u64(struct str s, uint64_t *ret_value)
{
	uint64_t value = 0;
	bool overflow = false;

	if (s.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EINVAL;
		overflow |= __builtin_mul_overflow(value, 10, &value);
		overflow |= __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value);
	}
	if (overflow)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

char *str_dup(struct str s)
{
	char *copy;

	if (s.n == SIZE_MAX)
		return NULL;
	copy = malloc(s.n + 1);
	if (!copy)
		return NULL;
	if (s.n)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

static bool is_continuation(unsigned char byte)
{
	return (byte & 0xC0) == 0x80;
}

size_t utf8_first(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	unsigned char low = 0x80, high = 0xBF;
	size_t n;

	if (s.n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	n = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	/* The second byte carries every restriction of RFC 3629 section 4. */
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	if (s.n < n || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (!is_continuation(p[i]))
			return 0;
	return n;
}

bool utf8_is_valid(struct str s)
{
	while (s.n) {
		uint64_t word;
		size_t n;

		if (s.n >= sizeof(word)) {
			memcpy(&word, s.p, sizeof(word));
			if ((word & 0x8080808080808080u) == 0) {
				s.p += sizeof(word);
				s.n -= sizeof(word);
				continue;
			}
		}
		n = utf8_first(s);
		if (n == 0)
			return false;
		s.p += n;
		s.n -= n;
	}
	return true;
}

size_t utf8_cut(struct str s, size_t max)
{
	size_t cut = max;

	if (s.n <= max)
		return s.n;
	/* No character is longer than four bytes: text that is not UTF-8 is cut at `max`. */
	while (cut > 0 && max - cut < 4 && is_continuation((unsigned char)s.p[cut]))
		cut--;
	return is_continuation((unsigned char)s.p[cut]) ? max : cut;
}
