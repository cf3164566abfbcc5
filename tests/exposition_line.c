/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/exposition_line.h"

#include <math.h>
#include <stdlib.h>

enum { NUMBER_MAX_BYTES = 127 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool may_begin_label(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static struct str take_n(struct str *rest, size_t n)
{
	struct str taken = {rest->p, n};

	*rest = (struct str){rest->p + n, rest->n - n};
	return taken;
}

static bool take(struct str *rest, char c)
{
	bool is_there = rest->n && rest->p[0] == c;

	if (is_there)
		take_n(rest, 1);
	return is_there;
}

/* Empty when there is none. */
static struct str take_name(struct str *rest, bool with_colons)
{
	size_t n = 0;

	while (n < rest->n && (may_begin_label(rest->p[n]) || (n && is_digit(rest->p[n])) ||
			       (with_colons && rest->p[n] == ':')))
		n++;
	return take_n(rest, n);
}

static struct str take_token(struct str *rest)
{
	const char *blank = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;

	return take_n(rest, blank ? (size_t)(blank - rest->p) : rest->n);
}

static size_t take_digits(struct str *rest)
{
	size_t n = 0;

	while (n < rest->n && is_digit(rest->p[n]))
		n++;
	take_n(rest, n);
	return n;
}

bool exposition_is_metric_name(struct str name)
{
	struct str rest = name;

	return take_name(&rest, true).n && rest.n == 0;
}

static bool is_real(struct str rest)
{
	size_t n_digits;

	if (!take(&rest, '+'))
		take(&rest, '-');
	n_digits = take_digits(&rest);
	if (take(&rest, '.'))
		n_digits += take_digits(&rest);
	if (n_digits == 0)
		return false;
	if (take(&rest, 'e') || take(&rest, 'E')) {
		if (!take(&rest, '+'))
			take(&rest, '-');
		if (take_digits(&rest) == 0)
			return false;
	}
	return rest.n == 0;
}

bool exposition_real_parse(struct str text, double *ret_value)
{
	char copy[NUMBER_MAX_BYTES + 1];

	if (text.n > NUMBER_MAX_BYTES || !is_real(text))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	*ret_value = strtod(copy, NULL);
	return true;
}

static bool number_parse(struct str text, double *ret_value)
{
	struct str rest = text;
	bool negative = take(&rest, '-');

	if (str_eq_nocase(text, STR_LITERAL("nan"))) {
		*ret_value = (double)NAN;
		return true;
	}
	if (!negative)
		take(&rest, '+');
	if (str_eq_nocase(rest, STR_LITERAL("inf")) ||
	    str_eq_nocase(rest, STR_LITERAL("infinity"))) {
		*ret_value = negative ? -HUGE_VAL : HUGE_VAL;
		return true;
	}
	return exposition_real_parse(text, ret_value);
}

const struct exposition_label *exposition_label_find(const struct exposition_labels *labels,
						     struct str name)
{
	for (size_t i = 0; i < labels->n; i++)
		if (str_eq(labels->items[i].name, name))
			return &labels->items[i];
	return NULL;
}

/* From behind the opening quote to behind the closing one. */
static const char *parse_quoted(struct str *rest, struct str *value)
{
	size_t n = 0;

	while (n < rest->n && rest->p[n] != '"')
		n += rest->p[n] == '\\' ? 2 : 1;
	if (n >= rest->n)
		return "a label's value does not end";
	*value = take_n(rest, n);
	take(rest, '"');
	return NULL;
}

static const char *parse_label(struct str *rest, struct exposition_labels *labels)
{
	struct exposition_label *label = &labels->items[labels->n];
	const char *wrong;

	if (labels->n == EXPOSITION_MAX_LABELS)
		return "more labels than this check takes";
	label->name = take_name(rest, false);
	if (label->name.n == 0)
		return "not a label's name";
	if (!take(rest, '=') || !take(rest, '"'))
		return "no =\" behind a label's name";
	wrong = parse_quoted(rest, &label->value);
	if (!wrong && exposition_label_find(labels, label->name))
		wrong = "a label twice";
	labels->n += !wrong;
	return wrong;
}

/* From behind the opening brace to behind the closing one. */
static const char *parse_labels(struct str *rest, struct exposition_labels *labels)
{
	const char *wrong = NULL;

	labels->n = 0;
	if (take(rest, '}'))
		return NULL;
	do
		wrong = parse_label(rest, labels);
	while (!wrong && take(rest, ','));
	if (!wrong && !take(rest, '}'))
		wrong = "no comma or brace behind a label";
	return wrong;
}

/* A backslash that escapes is no character of the text. */
static size_t characters_of(struct str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\\' && i + 1 < text.n && strchr("\\\"n", text.p[i + 1]) &&
		    text.p[i + 1])
			i++;
		n += (text.p[i] & 0xc0) != 0x80;
	}
	return n;
}

/* From behind the # to the end of the line. */
static const char *parse_exemplar(struct str rest, struct exposition_sample *sample)
{
	struct exposition_labels labels;
	const char *wrong;
	double number;

	if (!take(&rest, ' ') || !take(&rest, '{'))
		return "no labels behind the # of an exemplar";
	wrong = parse_labels(&rest, &labels);
	if (wrong)
		return wrong;
	if (!take(&rest, ' ') || !number_parse(take_token(&rest), &number))
		return "an exemplar's value is no number";
	if (rest.n && (!take(&rest, ' ') || !exposition_real_parse(rest, &number)))
		return "an exemplar's timestamp is no number";
	sample->has_exemplar = true;
	for (size_t i = 0; i < labels.n; i++)
		sample->exemplar_characters +=
			characters_of(labels.items[i].name) + characters_of(labels.items[i].value);
	return NULL;
}

const char *exposition_sample_parse(struct str line, struct exposition_sample *sample)
{
	struct str rest = line;
	const char *wrong = NULL;

	*sample = (struct exposition_sample){.name = take_name(&rest, true)};
	if (sample->name.n == 0)
		return "not a metric's name";
	if (take(&rest, '{'))
		wrong = parse_labels(&rest, &sample->labels);
	if (wrong)
		return wrong;
	if (!take(&rest, ' ') || !number_parse(take_token(&rest), &sample->value))
		return "the value is no number";
	if (rest.n == 0)
		return NULL;
	if (!take(&rest, ' '))
		return "something behind the value";
	if (take(&rest, '#'))
		return parse_exemplar(rest, sample);
	sample->has_timestamp = true;
	if (!exposition_real_parse(take_token(&rest), &sample->timestamp))
		return "the timestamp is no number";
	if (rest.n == 0)
		return NULL;
	if (!take(&rest, ' ') || !take(&rest, '#'))
		return "something behind the timestamp";
	return parse_exemplar(rest, sample);
}
