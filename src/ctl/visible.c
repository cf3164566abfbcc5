/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/visible.h"

#include <stdint.h>
#include <wchar.h>

static const struct {
	uint32_t first, last;
} hidden[] = {
	{0x00, 0x1F},     /* C0 controls */
	{0x7F, 0x9F},     /* DEL and the C1 controls */
	{0xAD, 0xAD},     /* soft hyphen */
	{0x61C, 0x61C},   /* Arabic letter mark */
	{0x200B, 0x200F}, /* zero width, marks of direction */
	{0x2028, 0x202E}, /* separators, embeddings, overrides */
	{0x2060, 0x206F}, /* joiners, isolates */
	{0xFEFF, 0xFEFF}, /* byte order mark */
	{0xFFF9, 0xFFFB}, /* annotations */
};

/* Of well-formed UTF-8 of n bytes. */
static uint32_t code_point(const char *p, size_t n)
{
	const unsigned char *bytes = (const unsigned char *)p;
	uint32_t code = n == 1 ? bytes[0] : bytes[0] & (0xFFu >> (n + 1));

	for (size_t i = 1; i < n; i++)
		code = code << 6 | (bytes[i] & 0x3F);
	return code;
}

static bool is_hidden(uint32_t code, bool keeps_lines)
{
	if (keeps_lines && (code == '\n' || code == '\t'))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		if (code >= hidden[i].first && code <= hidden[i].last)
			return true;
	return false;
}

int visible_append(struct buf *out, struct str text, bool keeps_lines)
{
	int r = 0;

	while (r == 0 && text.n) {
		size_t n = utf8_first(text);
		uint32_t code = n ? code_point(text.p, n) : 0;

		if (n == 0)
			r = buf_printf(out, "\\x%02X", (unsigned char)text.p[0]);
		else if (is_hidden(code, keeps_lines))
			r = buf_printf(out, "\\u%04X", (unsigned)code);
		else
			r = buf_append(out, text.p, n);
		n += n == 0;
		text = (struct str){text.p + n, text.n - n};
	}
	return r;
}

static size_t width_of(uint32_t code)
{
	/* A locale that does not know it says -1; it will be one column then. */
	int width = wcwidth((wchar_t)code);

	return width < 0 ? 1 : (size_t)width;
}

struct str visible_cut(struct str text, size_t columns)
{
	struct str rest = text;

	while (rest.n) {
		size_t n = utf8_first(rest), width;

		n += n == 0;
		width = width_of(code_point(rest.p, n));
		if (width > columns)
			break;
		columns -= width;
		rest = (struct str){rest.p + n, rest.n - n};
	}
	return (struct str){text.p, text.n - rest.n};
}

size_t visible_width(struct str text)
{
	size_t width = 0;

	while (text.n) {
		size_t n = utf8_first(text);

		n += n == 0;
		width += width_of(code_point(text.p, n));
		text = (struct str){text.p + n, text.n - n};
	}
	return width;
}
