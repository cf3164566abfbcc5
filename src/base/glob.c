/* SPDX-License-Identifier: Apache-2.0 */
#include "base/glob.h"

/* What stands for one character of a text. */
struct element {
	bool is_any;           /* ? */
	bool is_negated;       /* [! */
	struct str set;        /* between the brackets; p NULL: no set */
	unsigned long literal; /* otherwise */
};

/* The bytes of the first character as one number: they order as code points do. What is not UTF-8
 * counts byte by byte. */
static unsigned long take_character(struct str *s)
{
	size_t n = utf8_first(*s);
	unsigned long character = 0;

	if (n == 0)
		n = 1;
	for (size_t i = 0; i < n; i++)
		character = character << 8 | (unsigned char)s->p[i];
	s->p += n;
	s->n -= n;
	return character;
}

/* Both ends of the range, or twice the one character, with which the rest of a set begins. False:
 * it is none. */
static bool take_range(struct str *set, unsigned long *ret_low, unsigned long *ret_high)
{
	*ret_low = *ret_high = take_character(set);
	if (*ret_low == '-' || *ret_low == '[')
		return false;
	if (set->n > 1 && set->p[0] == '-') {
		set->p++;
		set->n--;
		*ret_high = take_character(set);
	}
	return *ret_low <= *ret_high;
}

static bool is_valid_set(struct str set)
{
	unsigned long low, high;

	/* In regular expressions and most shells ^ is what ! is here. */
	if (set.n == 0 || set.p[0] == '^')
		return false;
	while (set.n > 0)
		if (!take_range(&set, &low, &high))
			return false;
	return true;
}

static bool set_has(struct str set, unsigned long character)
{
	unsigned long low, high;

	while (set.n > 0)
		if (take_range(&set, &low, &high) && low <= character && character <= high)
			return true;
	return false;
}

/* `pattern` stands behind the opening bracket. */
static bool take_set(struct str *pattern, struct element *element)
{
	const char *end;

	element->is_negated = pattern->n > 0 && pattern->p[0] == '!';
	pattern->p += element->is_negated;
	pattern->n -= element->is_negated;
	end = pattern->n ? memchr(pattern->p, ']', pattern->n) : NULL;
	if (!end)
		return false;
	element->set = (struct str){pattern->p, (size_t)(end - pattern->p)};
	pattern->n -= element->set.n + 1;
	pattern->p = end + 1;
	return is_valid_set(element->set);
}

/* Of a pattern that is not empty and does not begin with *. False: it is invalid. */
static bool take_element(struct str *pattern, struct element *ret_element)
{
	struct element element = {.literal = take_character(pattern)};
	bool is_valid = true;

	switch (element.literal) {
	case '?':
		element.is_any = true;
		break;
	case '[':
		is_valid = take_set(pattern, &element);
		break;
	case ']':
	case '{':
	case '}':
	case '\\':
		is_valid = false;
		break;
	}
	*ret_element = element;
	return is_valid;
}

static bool take_star(struct str *pattern)
{
	if (pattern->n == 0 || pattern->p[0] != '*')
		return false;
	pattern->p++;
	pattern->n--;
	return true;
}

/* Takes an element and a character off both if they fit each other. */
static bool take_both(struct str *pattern, struct str *text)
{
	struct str pattern_rest = *pattern, text_rest = *text;
	unsigned long character = take_character(&text_rest);
	struct element element;

	if (pattern->n == 0 || !take_element(&pattern_rest, &element))
		return false;
	if (element.set.p ? set_has(element.set, character) == element.is_negated
			  : !element.is_any && element.literal != character)
		return false;
	*pattern = pattern_rest;
	*text = text_rest;
	return true;
}

bool glob_is_valid(struct str pattern)
{
	struct element element;

	while (pattern.n > 0)
		if (!take_star(&pattern) && !take_element(&pattern, &element))
			return false;
	return true;
}

/* What makes a pattern invalid fits nothing and is never passed by: nobody need look for it. */
bool glob_matches(struct str pattern, struct str text)
{
	struct str behind_star = {NULL, 0}, tried = text;

	while (text.n > 0) {
		if (take_star(&pattern)) {
			behind_star = pattern;
			tried = text;
		} else if (!take_both(&pattern, &text)) {
			if (!behind_star.p)
				return false;
			/* The last star takes one character more. An earlier one need not: what
			 * stood between them has found its first place. */
			take_character(&tried);
			pattern = behind_star;
			text = tried;
		}
	}
	while (take_star(&pattern))
		continue;
	return pattern.n == 0;
}
