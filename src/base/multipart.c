/* SPDX-License-Identifier: Apache-2.0 */
#include "base/multipart.h"

#include <errno.h>

#include "base/grammar.h"

static const char *const error_texts[] = {
	[MULTIPART_OK] = "no error",
	[MULTIPART_NO_BOUNDARY] = "Content-Type has no valid boundary",
	[MULTIPART_SYNTAX] = "not multipart/form-data with the announced boundary",
	[MULTIPART_BAD_LINE_END] = "a boundary that does not stand behind CRLF",
	[MULTIPART_BAD_HEAD] = "a part's head is malformed or has no clear name",
	[MULTIPART_HEAD_TOO_LARGE] = "a part's head is too large",
	[MULTIPART_TOO_MANY_PARTS] = "too many parts",
	[MULTIPART_TWICE] = "the field comes twice",
	[MULTIPART_NOT_PLAIN] = "the field is a file or encoded",
	[MULTIPART_TOO_LONG] = "the field is too long",
	[MULTIPART_UNFINISHED] = "the last boundary is missing",
	[MULTIPART_NO_MEMORY] = "out of memory",
};

const char *multipart_error_text(enum multipart_error error)
{
	return error_texts[error];
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The bytes up to the first of `ends`, all of them if none is there. */
static struct str take_until(struct str *rest, const char *ends)
{
	struct str taken = {rest->p, 0};

	while (taken.n < rest->n && !(taken.p[taken.n] && strchr(ends, taken.p[taken.n])))
		taken.n++;
	*rest = (struct str){rest->p + taken.n, rest->n - taken.n};
	return taken;
}

/* The value behind an equals sign. A quote behind a backslash ends it for some parsers and not for
 * others. */
static int take_value(struct str *rest, struct str *ret_value)
{
	struct str value;

	if (rest->n == 0 || rest->p[0] != '"') {
		*ret_value = take_until(rest, "; \t\"");
		return ret_value->n ? 0 : -EINVAL;
	}
	*rest = (struct str){rest->p + 1, rest->n - 1};
	value = take_until(rest, "\"");
	if (rest->n == 0 || (value.n && value.p[value.n - 1] == '\\'))
		return -EINVAL;
	*rest = (struct str){rest->p + 1, rest->n - 1};
	*ret_value = value;
	return 0;
}

/* Takes "; name=value" off the front: 1, or 0 when nothing is left, or -EINVAL. */
static int take_parameter(struct str *rest, struct str *ret_name, struct str *ret_value)
{
	int r;

	*rest = str_trim(*rest);
	if (rest->n == 0)
		return 0;
	if (rest->p[0] != ';')
		return -EINVAL;
	*rest = str_trim((struct str){rest->p + 1, rest->n - 1});
	if (rest->n == 0)
		return 0;
	*ret_name = take_until(rest, "= \t;\"");
	if (ret_name->n == 0 || rest->n == 0 || rest->p[0] != '=')
		return -EINVAL;
	*rest = (struct str){rest->p + 1, rest->n - 1};
	r = take_value(rest, ret_value);
	return r < 0 ? r : 1;
}

/* The value of a parameter that must be there once; `rest` are the parameters. Returns how many
 * there are. */
static int find_parameter(struct str rest, struct str wanted, struct str *ret_value)
{
	struct str name, value;
	bool found = false;
	int n = 0, r;

	while ((r = take_parameter(&rest, &name, &value)) > 0) {
		n++;
		/* "name*" is another way to write "name", which RFC 7578 forbids. */
		if (name.n == wanted.n + 1 && name.p[wanted.n] == '*' &&
		    str_eq_nocase((struct str){name.p, wanted.n}, wanted))
			return -EINVAL;
		if (!str_eq_nocase(name, wanted))
			continue;
		if (found)
			return -EINVAL;
		found = true;
		*ret_value = value;
	}
	return r == 0 && found ? n : -EINVAL;
}

static bool is_boundary(struct str s)
{
	return grammar_is_word(s, "'()+_,-./:=? ") && s.n <= MULTIPART_BOUNDARY_MAX_BYTES &&
	       s.p[s.n - 1] != ' ';
}

enum multipart_error multipart_init(struct multipart *m, struct str content_type, const char *field,
				    size_t max_bytes)
{
	struct str boundary;

	*m = (struct multipart){.field = field};
	buf_init(&m->head, MULTIPART_HEAD_MAX_BYTES);
	/* What follows the value is known as the delimiter only at its end. */
	buf_init(&m->value, max_bytes + 2 + sizeof(m->delimiter));
	(void)take_until(&content_type, ";");
	if (find_parameter(content_type, STR_LITERAL("boundary"), &boundary) < 0 ||
	    !is_boundary(boundary))
		return MULTIPART_NO_BOUNDARY;
	memcpy(m->delimiter, "--", 2);
	memcpy(m->delimiter + 2, boundary.p, boundary.n);
	m->delimiter_bytes = 2 + boundary.n;
	return MULTIPART_OK;
}

void multipart_done(struct multipart *m)
{
	buf_done(&m->head);
	buf_done(&m->value);
}

/* What a part's head says of it. */
struct part {
	unsigned n_dispositions;
	struct str name; /* valid if there is a disposition */
	bool is_file;    /* it says more of it than its name */
	bool is_encoded;
};

static int read_disposition(struct part *part, struct str value)
{
	struct str kind = take_until(&value, "; \t");
	int n = find_parameter(value, STR_LITERAL("name"), &part->name);

	/* Refused is also a name that some parsers unescape. */
	if (!str_eq_nocase(kind, STR_LITERAL("form-data")) || n < 0 ||
	    memchr(part->name.p, '\\', part->name.n))
		return -EINVAL;
	part->n_dispositions++;
	part->is_file = n > 1;
	return 0;
}

static bool is_plain_coding(struct str value)
{
	return str_eq_nocase(value, STR_LITERAL("binary")) ||
	       str_eq_nocase(value, STR_LITERAL("8bit")) ||
	       str_eq_nocase(value, STR_LITERAL("7bit"));
}

static int read_header(struct part *part, struct str line)
{
	struct str name = str_split(&line, ':'), value = str_trim(line);

	/* A blank before the colon, or a folded line, is read in as many ways as there are readers.
	 */
	if (!line.p || !grammar_is_token(name) || !grammar_is_field_value(value))
		return -EINVAL;
	if (str_eq_nocase(name, STR_LITERAL("Content-Disposition")))
		return read_disposition(part, value);
	if (str_eq_nocase(name, STR_LITERAL("Content-Transfer-Encoding")))
		part->is_encoded |= !is_plain_coding(value);
	return 0;
}

/* A line in it that begins like a delimiter is one for who looks for nothing else. */
static int read_head(const struct multipart *m, struct part *part)
{
	struct str delimiter = {m->delimiter, m->delimiter_bytes}, head = buf_str(&m->head);

	head.n -= 2; /* the empty line */
	while (head.n > 0) {
		const char *end = memmem(head.p, head.n, "\r\n", 2);
		size_t n = (size_t)(end - head.p);

		if (str_has_prefix(head, delimiter) ||
		    read_header(part, (struct str){head.p, n}) < 0)
			return -EINVAL;
		head = (struct str){end + 2, head.n - n - 2};
	}
	return part->n_dispositions == 1 ? 0 : -EINVAL;
}

static enum multipart_error end_head(struct multipart *m)
{
	struct part part = {0};
	bool alike;

	if (read_head(m, &part) < 0)
		return MULTIPART_BAD_HEAD;
	alike = str_eq_nocase(part.name, str_of(m->field));
	if (alike && m->seen)
		return MULTIPART_TWICE;
	m->seen |= alike;
	m->in_field = str_eq(part.name, str_of(m->field));
	if (m->in_field && (part.is_file || part.is_encoded))
		return MULTIPART_NOT_PLAIN;
	buf_clear(&m->head);
	m->state = MULTIPART_IN_CONTENT;
	m->value_offset = m->in_field ? m->offset + 1 : m->value_offset;
	m->matched = 0;
	m->last = '\0';
	/* A delimiter here is one for some parsers, and content for others. */
	m->at_line_start = true;
	m->behind_crlf = false;
	return MULTIPART_OK;
}

static bool ends_head(struct str head)
{
	if (head.n == 2)
		return memcmp(head.p, "\r\n", 2) == 0;
	return head.n >= 4 && memcmp(head.p + head.n - 4, "\r\n\r\n", 4) == 0;
}

static enum multipart_error head_byte(struct multipart *m, char byte)
{
	int r = buf_append(&m->head, &byte, 1);

	if (r < 0)
		return r == -ENOMEM ? MULTIPART_NO_MEMORY : MULTIPART_HEAD_TOO_LARGE;
	return byte == '\n' && ends_head(buf_str(&m->head)) ? end_head(m) : MULTIPART_OK;
}

static enum multipart_error begin_head(struct multipart *m)
{
	m->state = MULTIPART_IN_HEAD;
	return ++m->n_parts > MULTIPART_MAX_PARTS ? MULTIPART_TOO_MANY_PARTS : MULTIPART_OK;
}

/* Behind a delimiter stand blanks and a line end, or two dashes. */
static enum multipart_error tail_byte(struct multipart *m, char byte)
{
	char before = m->tail;

	m->tail = byte;
	switch (before) {
	case '\0':
		return byte == '-' || byte == '\r' || is_blank(byte) ? MULTIPART_OK
								     : MULTIPART_SYNTAX;
	case '\r':
		return byte == '\n' ? begin_head(m) : MULTIPART_SYNTAX;
	case '-':
		m->state = MULTIPART_IN_END;
		return byte == '-' && m->n_parts > 0 ? MULTIPART_OK : MULTIPART_SYNTAX;
	default:
		return byte == '\r' || is_blank(byte) ? MULTIPART_OK : MULTIPART_SYNTAX;
	}
}

static void begin_tail(struct multipart *m)
{
	m->state = MULTIPART_IN_TAIL;
	m->tail = '\0';
}

/* Before the first delimiter there may be one line end. */
static enum multipart_error start_byte(struct multipart *m, char byte)
{
	if ((m->offset == 0 && byte == '\r') ||
	    (m->offset == 1 && m->last == '\r' && byte == '\n')) {
		m->last = byte;
		return MULTIPART_OK;
	}
	if (m->last == '\r' || byte != m->delimiter[m->matched])
		return MULTIPART_SYNTAX;
	if (++m->matched == m->delimiter_bytes)
		begin_tail(m);
	return MULTIPART_OK;
}

/* Whether the byte completes a delimiter at the start of a line. */
static bool content_byte(struct multipart *m, char byte)
{
	if (m->at_line_start && byte == m->delimiter[m->matched])
		return ++m->matched == m->delimiter_bytes;
	if (m->matched > 0)
		m->last = '\0';
	m->matched = 0;
	m->at_line_start = byte == '\n' || byte == '\r';
	m->behind_crlf = byte == '\n' && m->last == '\r';
	m->last = byte;
	return false;
}

static enum multipart_error end_value(struct multipart *m)
{
	size_t max_bytes = m->value.max - 2 - sizeof(m->delimiter);

	m->value.len -= m->delimiter_bytes + 2;
	m->found = true;
	return m->value.len > max_bytes ? MULTIPART_TOO_LONG : MULTIPART_OK;
}

/* Takes content off the front of `piece`, at most to the end of a delimiter. */
static enum multipart_error take_content(struct multipart *m, struct str piece, size_t *ret_n)
{
	bool ended = false;
	size_t n = 0;
	int r = 0;

	while (n < piece.n && !ended)
		ended = content_byte(m, piece.p[n++]);
	*ret_n = n;
	if (m->in_field)
		r = buf_append(&m->value, piece.p, n);
	if (r < 0)
		return r == -ENOMEM ? MULTIPART_NO_MEMORY : MULTIPART_TOO_LONG;
	if (!ended)
		return MULTIPART_OK;
	if (!m->behind_crlf)
		return MULTIPART_BAD_LINE_END;
	begin_tail(m);
	return m->in_field ? end_value(m) : MULTIPART_OK;
}

/* Behind the last delimiter line ends are all there may be. */
static enum multipart_error end_byte(char byte)
{
	return byte == '\r' || byte == '\n' ? MULTIPART_OK : MULTIPART_SYNTAX;
}

static enum multipart_error take_byte(struct multipart *m, char byte)
{
	switch (m->state) {
	case MULTIPART_IN_START:
		return start_byte(m, byte);
	case MULTIPART_IN_TAIL:
		return tail_byte(m, byte);
	case MULTIPART_IN_HEAD:
		return head_byte(m, byte);
	case MULTIPART_IN_CONTENT:
	case MULTIPART_IN_END:
		break;
	}
	return end_byte(byte);
}

enum multipart_error multipart_feed(struct multipart *m, struct str piece)
{
	enum multipart_error error = MULTIPART_OK;

	while (piece.n > 0 && error == MULTIPART_OK) {
		size_t n = 1;

		if (m->state == MULTIPART_IN_CONTENT)
			error = take_content(m, piece, &n);
		else
			error = take_byte(m, piece.p[0]);
		m->offset += n;
		piece = (struct str){piece.p + n, piece.n - n};
	}
	return error;
}

enum multipart_error multipart_end(const struct multipart *m)
{
	return m->state == MULTIPART_IN_END ? MULTIPART_OK : MULTIPART_UNFINISHED;
}
