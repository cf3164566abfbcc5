/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/visible.h"

#include <stdint.h>
#include <wchar.h>

#include "base/unicode.h"

static bool is_hidden(uint32_t code, bool keeps_lines)
{
	if (keeps_lines && (code == '\n' || code == '\t'))
		return false;
	return unicode_is_hidden(code);
}

int visible_append(struct buf *out, struct str text, bool keeps_lines)
{
	int r = 0;

	while (r == 0 && text.n) {
		size_t n = utf8_first(text);
		uint32_t code = n ? unicode_code_point((struct str){text.p, n}) : 0;

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
		width = width_of(unicode_code_point((struct str){rest.p, n}));
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
		width += width_of(unicode_code_point((struct str){text.p, n}));
		text = (struct str){text.p + n, text.n - n};
	}
	return width;
}
