/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonscan.h"

#include <assert.h>
#include <errno.h>

#include "base/jsonstring.h"

/* An open container, as deep as paths reach. */
struct frame {
	const char *start;
	uint32_t complete; /* paths that end at this container */
	uint32_t inside;   /* paths that may lead on into it */
};

struct scanner {
	const char *p, *end; /* on an error p stands where it is */
	struct jsonscan *scan;
	unsigned int depth; /* open containers */
	bool is_first;      /* nothing stands in the innermost container yet */
	struct frame frames[JSONSCAN_MAX_SEGMENTS + 1];
	bool is_object[JSONSCAN_MAX_DEPTH];
	uint32_t seen; /* paths whose first name has come */
};

static const char *const error_texts[] = {
	[JSON_OK] = "no error",
	[JSON_SYNTAX] = "not JSON",
	[JSON_TOO_DEEP] = "nested too deeply",
	[JSON_BAD_UTF8] = "invalid UTF-8",
	[JSON_BAD_ESCAPE] = "invalid escape sequence in a string",
	[JSON_TRAILING_BYTES] = "bytes after the end of the document",
	[JSON_NUL_IN_NAME] = "U+0000 in the name of a member",
	[JSON_DUPLICATE_NAME] = "a member that comes twice",
	[JSON_NAME_IN_CASE] = "the name of a member in another case",
};

const char *json_error_text(enum json_error error)
{
	return error_texts[error];
}

static bool at(const struct scanner *s, char c)
{
	return s->p < s->end && *s->p == c;
}

static void skip_blanks(struct scanner *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

static bool skip_digits(struct scanner *s)
{
	const char *start = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p > start;
}

static enum json_error scan_number(struct scanner *s)
{
	if (at(s, '-'))
		s->p++;
	if (at(s, '0'))
		s->p++;
	else if (!skip_digits(s))
		return JSON_SYNTAX;
	if (at(s, '.')) {
		s->p++;
		if (!skip_digits(s))
			return JSON_SYNTAX;
	}
	if (at(s, 'e') || at(s, 'E')) {
		s->p++;
		if (at(s, '+') || at(s, '-'))
			s->p++;
		if (!skip_digits(s))
			return JSON_SYNTAX;
	}
	return JSON_OK;
}

static enum json_error scan_literal(struct scanner *s, struct str literal)
{
	if (!str_has_prefix((struct str){s->p, (size_t)(s->end - s->p)}, literal))
		return JSON_SYNTAX;
	s->p += literal.n;
	return JSON_OK;
}

/* Those of the paths `here`, which lead to the value at `depth`, that end there. */
static uint32_t complete_paths(const struct scanner *s, uint32_t here, unsigned int depth)
{
	uint32_t complete = 0;

	for (uint32_t left = here; left; left &= left - 1) {
		int i = __builtin_ctz(left);

		if (!s->scan->paths[i].segments[depth])
			complete |= UINT32_C(1) << i;
	}
	return complete;
}

static void report(const struct scanner *s, uint32_t complete, enum json_value_type type,
		   const char *start)
{
	struct json_value value = {type, {start, (size_t)(s->p - start)}};

	for (; complete; complete &= complete - 1)
		s->scan->found(s->scan->context, (size_t)__builtin_ctz(complete), value);
}

/* Those of the paths `inside` an array at `depth` that go on in its elements. */
static uint32_t match_elements(const struct scanner *s, uint32_t inside, unsigned int depth)
{
	uint32_t matching = 0;

	for (; inside; inside &= inside - 1) {
		int i = __builtin_ctz(inside);

		if (strcmp(s->scan->paths[i].segments[depth], "[]") == 0)
			matching |= UINT32_C(1) << i;
	}
	return matching;
}

/* Those of the paths `inside` an object at `depth` that go on in the member `name`. */
static uint32_t match_name(const struct scanner *s, uint32_t inside, unsigned int depth,
			   struct str name)
{
	uint32_t matching = 0;

	if (str_eq(name, STR_LITERAL("[]")))
		return 0;
	for (; inside; inside &= inside - 1) {
		int i = __builtin_ctz(inside);
		const char *segment = s->scan->paths[i].segments[depth];

		if ((name.n == 0 || *segment == *name.p) && str_eq(str_of(segment), name))
			matching |= UINT32_C(1) << i;
	}
	return matching;
}

/* Those of the paths whose first name, in lower case, some reader takes `name` for. */
static uint32_t match_alike(const struct scanner *s, uint32_t inside, struct str name)
{
	uint32_t matching = 0;

	for (; inside; inside &= inside - 1) {
		int i = __builtin_ctz(inside);

		if (str_folds_to(name, str_of(s->scan->paths[i].segments[0])))
			matching |= UINT32_C(1) << i;
	}
	return matching;
}

static enum json_error open_container(struct scanner *s, uint32_t here)
{
	unsigned int depth = s->depth;
	bool is_object = *s->p == '{';

	if (depth == JSONSCAN_MAX_DEPTH)
		return JSON_TOO_DEEP;
	if (depth < ARRAY_SIZE(s->frames)) {
		uint32_t complete = here ? complete_paths(s, here, depth) : 0;
		uint32_t inside = here & ~complete;

		if (!is_object)
			inside = match_elements(s, inside, depth);
		s->frames[depth] = (struct frame){s->p, complete, inside};
	}
	s->is_object[depth] = is_object;
	s->depth++;
	s->is_first = true;
	s->p++;
	return JSON_OK;
}

static void close_container(struct scanner *s)
{
	unsigned int depth = --s->depth;

	s->p++;
	s->is_first = false;
	if (depth < ARRAY_SIZE(s->frames))
		report(s, s->frames[depth].complete, s->is_object[depth] ? JSON_OBJECT : JSON_ARRAY,
		       s->frames[depth].start);
}

/* Paths that may lead on into the innermost container. */
static uint32_t paths_inside(const struct scanner *s)
{
	unsigned int depth = s->depth - 1;

	return depth < ARRAY_SIZE(s->frames) ? s->frames[depth].inside : 0;
}

/* `here` are the paths that lead to the value. A container is only opened. */
static enum json_error scan_value(struct scanner *s, uint32_t here)
{
	enum json_value_type type = JSON_NUMBER;
	enum json_error error;
	struct jsonstring string;
	const char *start;

	skip_blanks(s);
	start = s->p;
	if (s->p == s->end)
		return JSON_SYNTAX;
	switch (*s->p) {
	case '{':
	case '[':
		return open_container(s, here);
	case '"':
		type = JSON_STRING;
		error = jsonstring_scan(&s->p, s->end, &string);
		break;
	case 'n':
		type = JSON_NULL;
		error = scan_literal(s, STR_LITERAL("null"));
		break;
	case 'f':
		type = JSON_FALSE;
		error = scan_literal(s, STR_LITERAL("false"));
		break;
	case 't':
		type = JSON_TRUE;
		error = scan_literal(s, STR_LITERAL("true"));
		break;
	default:
		error = scan_number(s);
	}
	if (error == JSON_OK && here)
		report(s, complete_paths(s, here, s->depth), type, start);
	return error;
}

/* Of the top-level object: what is looked for must be the same for whoever reads it. */
static enum json_error judge_top_name(struct scanner *s, uint32_t inside, struct str name)
{
	struct str cut = {name.p, strnlen(name.p, name.n)};
	uint32_t alike = match_alike(s, inside, cut);
	enum json_error error = JSON_OK;
	size_t path;

	if (!alike)
		return JSON_OK;
	path = (size_t)__builtin_ctz(alike);
	if (cut.n < name.n)
		error = JSON_NUL_IN_NAME;
	else if (!str_eq(name, str_of(s->scan->paths[path].segments[0])))
		error = JSON_NAME_IN_CASE;
	else if (alike & s->seen)
		error = JSON_DUPLICATE_NAME;
	s->seen |= alike;
	if (error != JSON_OK)
		s->scan->error_path = path;
	return error;
}

/* What a name that was scanned means: the paths that lead on into its value. */
static enum json_error judge_name(struct scanner *s, const struct jsonstring *string,
				  uint32_t *ret_here)
{
	uint32_t inside = paths_inside(s);
	struct str name = string->text;
	char block[JSONSTRING_BLOCK_BYTES];
	enum json_error error = JSON_OK;

	s->scan->has_nul_name |= string->has_nul;
	*ret_here = 0;
	if (!inside)
		return JSON_OK;
	/* The names of paths are shorter than a block. */
	if (string->has_escape || name.n > JSONSTRING_SHORT_BYTES)
		name = jsonstring_begin(name, block);
	if (s->depth == 1 && s->scan->judges_names)
		error = judge_top_name(s, inside, name);
	*ret_here = match_name(s, inside, s->depth - 1, name);
	return error;
}

static enum json_error scan_name(struct scanner *s, uint32_t *ret_here)
{
	const char *start = s->p;
	struct jsonstring string;
	enum json_error error;

	if (!at(s, '"'))
		return JSON_SYNTAX;
	error = jsonstring_scan(&s->p, s->end, &string);
	if (error != JSON_OK)
		return error;
	error = judge_name(s, &string, ret_here);
	if (error != JSON_OK) {
		s->p = start;
		return error;
	}
	skip_blanks(s);
	if (!at(s, ':'))
		return JSON_SYNTAX;
	s->p++;
	return JSON_OK;
}

/* In a container: closes it, or scans its next value. */
static enum json_error scan_step(struct scanner *s)
{
	bool is_object = s->is_object[s->depth - 1];
	enum json_error error;
	uint32_t here;

	skip_blanks(s);
	if (at(s, is_object ? '}' : ']')) {
		close_container(s);
		return JSON_OK;
	}
	if (!s->is_first) {
		if (!at(s, ','))
			return JSON_SYNTAX;
		s->p++;
		skip_blanks(s);
	}
	s->is_first = false;
	if (!is_object)
		return scan_value(s, paths_inside(s));
	error = scan_name(s, &here);
	return error == JSON_OK ? scan_value(s, here) : error;
}

static enum json_error scan_document(struct scanner *s)
{
	size_t n_paths = s->scan->n_paths;
	uint32_t all = n_paths ? UINT32_MAX >> (JSONSCAN_MAX_PATHS - n_paths) : 0;
	enum json_error error = scan_value(s, all);

	while (error == JSON_OK && s->depth > 0)
		error = scan_step(s);
	if (error != JSON_OK)
		return error;
	skip_blanks(s);
	return s->p == s->end ? JSON_OK : JSON_TRAILING_BYTES;
}

enum json_error jsonscan_run(struct jsonscan *scan, struct str text)
{
	const char *start = text.n ? text.p : "";
	enum json_error error;
	struct scanner s;

	assert(scan->n_paths <= JSONSCAN_MAX_PATHS);
	scan->has_nul_name = false;
	/* Not a whole initialiser: the containers are set up as they are opened. */
	s.p = start;
	s.end = start + text.n;
	s.scan = scan;
	s.depth = 0;
	s.seen = 0;
	error = scan_document(&s);
	scan->error_offset = (size_t)(s.p - start);
	return error;
}

int json_number_u53(struct json_value value, uint64_t *ret_value)
{
	uint64_t number;

	/* Digits only: a sign, a fraction or an exponent is refused by str_to_u64(). */
	if (value.type != JSON_NUMBER || str_to_u64(value.text, &number) < 0)
		return -EINVAL;
	if (number > UINT64_C(1) << 53)
		return -EINVAL;
	*ret_value = number;
	return 0;
}
