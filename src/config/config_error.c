/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_error.h"

#include <errno.h>
#include <stdio.h>

#include "base/i18n.h"

enum { LINE_MAX_BYTES = CONFIG_PLACE_MAX + 1024 };

const char *config_place(struct config_origin origin, char place[static CONFIG_PLACE_MAX])
{
	if (!origin.file)
		snprintf(place, CONFIG_PLACE_MAX, "%s", _("built in"));
	else if (origin.line == 0)
		snprintf(place, CONFIG_PLACE_MAX, "%s", origin.file);
	else
		snprintf(place, CONFIG_PLACE_MAX, "%s:%u", origin.file, origin.line);
	return place;
}

static void make_one_line(char *text)
{
	struct str rest = str_of(text);

	while (rest.n) {
		size_t n = utf8_first(rest);

		if (n == 0 || (unsigned char)rest.p[0] < 0x20 || rest.p[0] == 0x7F) {
			text[rest.p - text] = '?';
			n = 1;
		}
		rest.p += n;
		rest.n -= n;
	}
}

static int append_line(struct buf *error, char *text)
{
	size_t n = utf8_cut(str_of(text), error->max);

	make_one_line(text);
	buf_clear(error);
	return buf_append(error, text, n);
}

int config_error(struct buf *error, struct config_origin origin, const char *format, ...)
{
	char text[LINE_MAX_BYTES], place[CONFIG_PLACE_MAX];
	va_list ap;
	size_t n;

	config_place(origin, place);
	n = (size_t)snprintf(text, sizeof(text), "%s: ", place);
	va_start(ap, format);
	vsnprintf(text + n, sizeof(text) - n, _(format), ap);
	va_end(ap);
	return append_line(error, text) < 0 ? -ENOMEM : -EINVAL;
}

int config_error_memory(struct buf *error)
{
	char text[128];
	int r;

	snprintf(text, sizeof(text), "%s", _("out of memory"));
	r = append_line(error, text);

	(void)r; /* without memory for the text either, the errno says it */
	return -ENOMEM;
}
