/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/label.h"

#include <string.h>

#include "base/hash.h"

/* "_" and 16 hexadecimal digits. */
enum { TAIL_BYTES = 17, CUT_BYTES = LABEL_MAX_BYTES - TAIL_BYTES };

static const struct str replacement = {"\xEF\xBF\xBD", 3}; /* U+FFFD */

bool label_names_the_fleet(struct str label)
{
	return str_eq(label, STR_LITERAL("model")) || str_eq(label, STR_LITERAL("backend")) ||
	       str_eq(label, STR_LITERAL("from_model")) || str_eq(label, STR_LITERAL("to_model"));
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_plain(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || is_digit(c) || c == '_';
}

/* Takes the first character off `rest` and gives what stands for it. */
static struct str next_character(struct str *rest, bool sanitized)
{
	size_t n = utf8_first(*rest);
	struct str character = n ? (struct str){rest->p, n} : replacement;

	rest->p += n ? n : 1;
	rest->n -= n ? n : 1;
	if (sanitized && (character.n > 1 || !is_plain(character.p[0])))
		return STR_LITERAL("_");
	return character;
}

/* Long values that differ anywhere keep different texts. The seed is fixed: a text must be the
 * same after every start. */
static size_t put_tail(char *text, struct str value)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t hash = hash_bytes((struct hash_seed){0, 0}, value.p, value.n);

	text[0] = '_';
	for (size_t i = 1; i < TAIL_BYTES; i++, hash <<= 4)
		text[i] = digits[hash >> 60];
	return TAIL_BYTES;
}

/* `text` has room for LABEL_MAX_BYTES. */
static size_t value_text(char *text, struct str value, bool sanitized)
{
	struct str rest = value;
	size_t n = 0, cut = 0;

	if (sanitized && is_digit(value.p[0]))
		text[n++] = '_';
	while (rest.n) {
		struct str character = next_character(&rest, sanitized);

		if (n <= CUT_BYTES)
			cut = n;
		if (n + character.n > LABEL_MAX_BYTES)
			return cut + put_tail(text + cut, value);
		memcpy(text + n, character.p, character.n);
		n += character.n;
	}
	return n;
}

static int append_escaped(struct buf *out, struct str text)
{
	char escaped[2 * LABEL_MAX_BYTES];
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '\\' || c == '"' || c == '\n')
			escaped[n++] = '\\';
		if (c == '\n')
			c = 'n';
		escaped[n++] = c;
	}
	return buf_append(out, escaped, n);
}

static int write_one(struct buf *out, const char *label, struct str value, bool raw)
{
	char text[LABEL_MAX_BYTES];
	size_t n;
	int r;

	if (value.n == 0)
		value = STR_LITERAL("unknown");
	n = value_text(text, value, !raw && label_names_the_fleet(str_of(label)));
	r = buf_append_str(out, str_of(label));
	if (r == 0)
		r = buf_append_str(out, STR_LITERAL("=\""));
	if (r == 0)
		r = append_escaped(out, (struct str){text, n});
	if (r == 0)
		r = buf_append_str(out, STR_LITERAL("\""));
	return r;
}

int label_write_all(struct buf *out, enum metric metric, const struct str *values, bool raw)
{
	const struct metric_row *row = metric_row(metric);
	int r = 0;

	for (size_t i = 0; i < row->n_labels && r == 0; i++) {
		if (i)
			r = buf_append_str(out, STR_LITERAL(","));
		if (r == 0)
			r = write_one(out, row->labels[i], values[i], raw);
	}
	return r;
}
