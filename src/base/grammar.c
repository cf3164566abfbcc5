/* SPDX-License-Identifier: Apache-2.0 */
#include "base/grammar.h"

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

bool grammar_is_word(struct str s, const char *others)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_alphanumeric(s.p[i]) && (!s.p[i] || !strchr(others, s.p[i])))
			return false;
	return s.n > 0;
}

bool grammar_is_token(struct str s)
{
	return grammar_is_word(s, "!#$%&'*+-.^_`|~");
}

bool grammar_is_field_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_control(s.p[i]) && s.p[i] != '\t')
			return false;
	return true;
}

bool grammar_has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_control(s.p[i]))
			return true;
	return false;
}
