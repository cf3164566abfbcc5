/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* nexusd's own names for file and line would only bloat the journal. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/clock.h"
#include "base/str.h"

#define FIELD_PREFIX "NEXUSD_"

enum {
	MESSAGE_MAX_BYTES = 2048,
	VALUE_MAX_BYTES = 256,
	NAME_MAX_BYTES = 64, /* journald refuses longer names */
	FIELD_MAX_BYTES = NAME_MAX_BYTES + 1 + VALUE_MAX_BYTES,
	LINE_MAX_BYTES = PIPE_BUF, /* longer writes to a pipe may interleave */
};

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", LOG_ERR},      [LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
	[LOG_LEVEL_NOTICE] = {"notice", LOG_NOTICE}, [LOG_LEVEL_INFO] = {"info", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

static atomic_int max_level = LOG_LEVEL_INFO;
static bool to_journal;

void log_init(void)
{
	struct str inode = str_of(getenv("JOURNAL_STREAM"));
	struct str device = str_split(&inode, ':');
	uint64_t want_device, want_inode;
	struct stat st;

	to_journal = str_to_u64(device, &want_device) == 0 && str_to_u64(inode, &want_inode) == 0 &&
		     fstat(STDERR_FILENO, &st) == 0 && st.st_dev == want_device &&
		     st.st_ino == want_inode;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
}

bool log_is_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (strcmp(text, levels[i].name) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
	return levels[level].name;
}

/* Text in a fixed array; what does not fit whole is left out. */
struct line {
	char *data;
	size_t len;
	size_t max;
};

static bool put(struct line *line, struct str s)
{
	if (s.n > line->max - line->len)
		return false;
	if (s.n)
		memcpy(line->data + line->len, s.p, s.n);
	line->len += s.n;
	return true;
}

static bool put_hex(struct line *line, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";

	if (s.n * 4 > line->max - line->len)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char byte = (unsigned char)s.p[i];
		const char hex[4] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};

		memcpy(line->data + line->len, hex, sizeof(hex));
		line->len += sizeof(hex);
	}
	return true;
}

/* C0, DEL, and C1, which terminals obey in UTF-8 too. */
static bool is_control(struct str character)
{
	unsigned char first = (unsigned char)character.p[0];

	return first < 0x20 || first == 0x7F ||
	       (first == 0xC2 && (unsigned char)character.p[1] < 0xA0);
}

/* Whole characters of `s` for as long as they fit; inside quotes, quotes and backslashes too are
 * escaped. */
static void put_escaped(struct line *line, struct str s, bool quoted)
{
	while (s.n) {
		size_t n = utf8_first(s);
		struct str unit = {s.p, n ? n : 1};
		bool fits;

		if (n == 0 || is_control(unit))
			fits = put_hex(line, unit);
		else if (quoted && (*s.p == '"' || *s.p == '\\'))
			fits = put(line, (struct str){(const char[]){'\\', *s.p}, 2});
		else
			fits = put(line, unit);
		if (!fits)
			return;
		s.p += unit.n;
		s.n -= unit.n;
	}
}

static int send_to_journal(enum log_level level, struct str message, const struct log_field *fields,
			   size_t n_fields)
{
	char text[sizeof("MESSAGE=") + MESSAGE_MAX_BYTES], priority[sizeof("PRIORITY=7")];
	char values[LOG_MAX_FIELDS][FIELD_MAX_BYTES];
	struct iovec parts[LOG_MAX_FIELDS + 2];
	int n = 0;

	parts[n++] = (struct iovec){text, (size_t)snprintf(text, sizeof(text), "MESSAGE=%.*s",
							   (int)message.n, message.p)};
	parts[n++] =
		(struct iovec){priority, (size_t)snprintf(priority, sizeof(priority), "PRIORITY=%d",
							  levels[level].priority)};
	for (size_t i = 0; i < n_fields; i++) {
		struct line field = {values[i], 0, NAME_MAX_BYTES + 1};

		if (!fields[i].value || !put(&field, str_of(fields[i].name)) ||
		    !put(&field, STR_LITERAL("=")))
			continue;
		field.max = field.len + VALUE_MAX_BYTES;
		put_escaped(&field, str_of(fields[i].value), false);
		parts[n++] = (struct iovec){values[i], field.len};
	}
	return sd_journal_sendv(parts, n);
}

/* ` name=value`, or nothing when the line is full. */
static void put_field(struct line *line, const struct log_field *field)
{
	bool quoted = field->value[0] == '\0' || strpbrk(field->value, " \t\"=");
	char data[FIELD_MAX_BYTES + sizeof(" \"\"")];
	struct line part = {data, 0, NAME_MAX_BYTES + 1};
	struct str name = str_of(field->name);

	if (str_has_prefix(name, STR_LITERAL(FIELD_PREFIX)))
		name = str_of(field->name + strlen(FIELD_PREFIX));
	if (!put(&part, STR_LITERAL(" ")) || !put(&part, name))
		return;
	for (size_t i = 1; i < part.len; i++)
		if (data[i] >= 'A' && data[i] <= 'Z')
			data[i] = (char)(data[i] | 0x20);
	data[part.len++] = '=';
	if (quoted)
		data[part.len++] = '"';
	part.max = part.len + VALUE_MAX_BYTES;
	put_escaped(&part, str_of(field->value), quoted);
	if (quoted)
		data[part.len++] = '"';
	(void)put(line, (struct str){data, part.len});
}

static void put_timestamp(struct line *line)
{
	uint64_t now_msec = clock_realtime_msec();
	time_t now_sec = (time_t)(now_msec / 1000);
	char text[64];
	struct tm tm;
	size_t n;

	if (!gmtime_r(&now_sec, &tm))
		return;
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(text + n, sizeof(text) - n, ".%03uZ ",
			      (unsigned int)(now_msec % 1000));
	(void)put(line, (struct str){text, n});
}

static void write_to_stderr(enum log_level level, struct str message,
			    const struct log_field *fields, size_t n_fields)
{
	char data[LINE_MAX_BYTES];
	struct line line = {data, 0, sizeof(data) - 1};
	ssize_t n;

	put_timestamp(&line);
	(void)put(&line, str_of(levels[level].name));
	(void)put(&line, STR_LITERAL(": "));
	(void)put(&line, message);
	for (size_t i = 0; i < n_fields; i++) {
		/* The catalog's key is for machines. */
		if (fields[i].value && strcmp(fields[i].name, "MESSAGE_ID") != 0)
			put_field(&line, &fields[i]);
	}
	data[line.len++] = '\n';
	do
		n = write(STDERR_FILENO, data, line.len);
	while (n < 0 && errno == EINTR);
	/* There is nowhere to report a log that cannot be written. */
}

/* Formats, escapes and cuts; `out` has MESSAGE_MAX_BYTES. */
static struct str format_message(char *out, const char *format, va_list ap) PRINTF_LIKE(2, 0);

static struct str format_message(char *out, const char *format, va_list ap)
{
	/* One byte more than is kept shows whether the cut falls on a character boundary. */
	char raw[MESSAGE_MAX_BYTES + 2];
	struct line message = {out, 0, MESSAGE_MAX_BYTES};
	int n = vsnprintf(raw, sizeof(raw), format, ap);
	struct str text = n < 0 ? str_of(format) : str_of(raw);

	text.n = utf8_cut(text, MESSAGE_MAX_BYTES);
	put_escaped(&message, text, false);
	return (struct str){out, message.len};
}

void log_write(enum log_level level, const struct log_field *fields, size_t n_fields,
	       const char *format, ...)
{
	int saved_errno = errno;
	char out[MESSAGE_MAX_BYTES];
	struct str message;
	va_list ap;

	assert(n_fields <= LOG_MAX_FIELDS);
	if (!log_is_enabled(level))
		return;
	va_start(ap, format);
	message = format_message(out, format, ap);
	va_end(ap);
	if (!to_journal || send_to_journal(level, message, fields, n_fields) < 0)
		write_to_stderr(level, message, fields, n_fields);
	errno = saved_errno;
}
