/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_line.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/unicode.h"

#define FIELD_PREFIX "NEXUSD_"

/* How text from outside is made harmless. */
enum escape {
	ESCAPE_PLAIN,  /* what hides or is obeyed, and what is no UTF-8, as \xNN */
	ESCAPE_QUOTED, /* the same inside quotes: quotes and backslashes, too */
	ESCAPE_JSON,
};

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

/* All of it or nothing. */
static bool put_hex(struct line *line, struct str s)
{
	char text[4 * 4 + 1];
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\\x%02X", (unsigned char)s.p[i]);
	return put(line, (struct str){text, n});
}

static bool put_json_hidden(struct line *line, uint32_t code_point)
{
	char text[sizeof("\\u0000")];

	/* None of them is beyond U+FFFF. */
	snprintf(text, sizeof(text), "\\u%04x", (unsigned)(code_point & 0xFFFF));
	return put(line, str_of(text));
}

/* `character` is one, or a byte that is none. */
static bool put_character(struct line *line, struct str character, bool is_valid,
			  enum escape escape)
{
	uint32_t code_point = is_valid ? unicode_code_point(character) : 0;

	if (escape == ESCAPE_JSON && !is_valid)
		return put(line, STR_LITERAL("\\ufffd"));
	if (!is_valid || unicode_is_hidden(code_point))
		return escape == ESCAPE_JSON ? put_json_hidden(line, code_point)
					     : put_hex(line, character);
	if (escape != ESCAPE_PLAIN && (*character.p == '"' || *character.p == '\\'))
		return put(line, (struct str){(const char[]){'\\', *character.p}, 2});
	return put(line, character);
}

/* Whole characters of `s` for as long as at most `max` bytes come of them. */
static void put_escaped(struct line *line, struct str s, size_t max, enum escape escape)
{
	size_t room = line->max - line->len;
	struct line part = {line->data + line->len, 0, room < max ? room : max};

	while (s.n) {
		size_t n = utf8_first(s);
		struct str character = {s.p, n ? n : 1};

		if (!put_character(&part, character, n > 0, escape))
			break;
		s.p += character.n;
		s.n -= character.n;
	}
	line->len += part.len;
}

/* As it is told outside of the journal: without the prefix, in lower case. */
static bool put_name(struct line *line, const char *name)
{
	struct str rest = str_of(name);

	if (str_has_prefix(rest, STR_LITERAL(FIELD_PREFIX)))
		rest = str_of(name + strlen(FIELD_PREFIX));
	if (rest.n > LOG_NAME_MAX_BYTES || rest.n > line->max - line->len)
		return false;
	for (size_t i = 0; i < rest.n; i++) {
		bool is_upper = rest.p[i] >= 'A' && rest.p[i] <= 'Z';

		line->data[line->len++] = (char)(is_upper ? rest.p[i] | 0x20 : rest.p[i]);
	}
	return true;
}

/* Takes a piece over if it fits whole. */
static void put_piece(struct line *line, const struct line *piece, bool is_whole)
{
	if (is_whole)
		(void)put(line, (struct str){piece->data, piece->len});
}

static void put_time(struct line *line)
{
	uint64_t now_msec = clock_realtime_msec();
	time_t now_sec = (time_t)(now_msec / 1000);
	char text[64];
	struct tm tm;
	size_t n;

	if (!gmtime_r(&now_sec, &tm))
		return;
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(text + n, sizeof(text) - n, ".%03uZ",
			      (unsigned int)(now_msec % 1000));
	(void)put(line, (struct str){text, n});
}

static void put_assignment(struct line *line, const char *name, struct str value, size_t max)
{
	char data[LOG_NAME_MAX_BYTES + LOG_TEXT_MAX_BYTES + 2];
	struct line piece = {data, 0, sizeof(data)};
	struct str name_text = str_of(name);

	if (name_text.n > LOG_NAME_MAX_BYTES)
		return;
	(void)put(&piece, name_text);
	(void)put(&piece, STR_LITERAL("="));
	/* Escaped, it has no newline, with which the protocol would need a length. */
	put_escaped(&piece, value, max, ESCAPE_PLAIN);
	put_piece(line, &piece, put(&piece, STR_LITERAL("\n")));
}

size_t log_line_journal(const struct log_entry *entry, char *out, size_t size)
{
	struct line line = {out, 0, size};
	const char priority[] = {(char)('0' + log_level_priority(entry->level)), '\0'};

	put_assignment(&line, "MESSAGE", entry->text, LOG_TEXT_MAX_BYTES);
	put_assignment(&line, "PRIORITY", str_of(priority), LOG_VALUE_MAX_BYTES);
	put_assignment(&line, "SYSLOG_IDENTIFIER", STR_LITERAL("nexusd"), LOG_VALUE_MAX_BYTES);
	if (entry->message_id)
		put_assignment(&line, "MESSAGE_ID", str_of(entry->message_id), LOG_VALUE_MAX_BYTES);
	for (size_t i = 0; i < entry->n_fields; i++)
		if (entry->fields[i].value)
			put_assignment(&line, entry->fields[i].name, str_of(entry->fields[i].value),
				       LOG_VALUE_MAX_BYTES);
	return line.len;
}

/* ` name=value` */
static void put_field(struct line *line, const struct log_field *field)
{
	bool quoted = field->value[0] == '\0' || strpbrk(field->value, " \t\"=");
	char data[LOG_NAME_MAX_BYTES + LOG_VALUE_MAX_BYTES + sizeof(" =\"\"")];
	struct line piece = {data, 0, sizeof(data)};
	struct str quote = {"\"", quoted};

	(void)put(&piece, STR_LITERAL(" "));
	if (!put_name(&piece, field->name))
		return;
	(void)put(&piece, STR_LITERAL("="));
	(void)put(&piece, quote);
	put_escaped(&piece, str_of(field->value), LOG_VALUE_MAX_BYTES,
		    quoted ? ESCAPE_QUOTED : ESCAPE_PLAIN);
	put_piece(line, &piece, put(&piece, quote));
}

size_t log_line_text(const struct log_entry *entry, char *out, size_t size)
{
	struct line line = {out, 0, size - 1};

	put_time(&line);
	(void)put(&line, STR_LITERAL(" "));
	(void)put(&line, str_of(log_level_name(entry->level)));
	(void)put(&line, STR_LITERAL(": "));
	put_escaped(&line, entry->text, LOG_TEXT_MAX_BYTES, ESCAPE_PLAIN);
	/* The catalog's key is for machines: not here. */
	for (size_t i = 0; i < entry->n_fields; i++)
		if (entry->fields[i].value)
			put_field(&line, &entry->fields[i]);
	out[line.len++] = '\n';
	return line.len;
}

/* `,"name":"value"` */
static void put_member(struct line *line, const char *name, struct str value, size_t max)
{
	char data[LOG_NAME_MAX_BYTES + LOG_TEXT_MAX_BYTES + sizeof(",\"\":\"\"")];
	struct line piece = {data, 0, sizeof(data)};
	struct str quote = {"\"", !message_field_is_number(name)};

	(void)put(&piece, STR_LITERAL(",\""));
	if (!put_name(&piece, name))
		return;
	(void)put(&piece, STR_LITERAL("\":"));
	(void)put(&piece, quote);
	put_escaped(&piece, value, max, ESCAPE_JSON);
	put_piece(line, &piece, put(&piece, quote));
}

size_t log_line_json(const struct log_entry *entry, char *out, size_t size)
{
	struct line line = {out, 0, size - strlen("}\n")};

	(void)put(&line, STR_LITERAL("{\"time\":\""));
	put_time(&line);
	(void)put(&line, STR_LITERAL("\""));
	put_member(&line, "level", str_of(log_level_name(entry->level)), LOG_VALUE_MAX_BYTES);
	put_member(&line, "message", entry->text, LOG_TEXT_MAX_BYTES);
	if (entry->message_id)
		put_member(&line, "message_id", str_of(entry->message_id), LOG_VALUE_MAX_BYTES);
	for (size_t i = 0; i < entry->n_fields; i++)
		if (entry->fields[i].value)
			put_member(&line, entry->fields[i].name, str_of(entry->fields[i].value),
				   LOG_VALUE_MAX_BYTES);
	line.max = size;
	(void)put(&line, STR_LITERAL("}\n"));
	return line.len;
}
