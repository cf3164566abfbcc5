/* SPDX-License-Identifier: Apache-2.0 */
#include "http/guard.h"

#include "base/grammar.h"

/* Nothing that a later hop could cut or split at: controls, blanks, and %00. */
static bool is_target(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == 0x7f)
			return false;
		if (c == '%' && s.n - i >= 3 && s.p[i + 1] == '0' && s.p[i + 2] == '0')
			return false;
	}
	return s.n > 0;
}

void guard_begin(struct guard *guard, const struct guard_line *line)
{
	*guard = (struct guard){0};
	guard->http_1_0 = str_eq(line->version, STR_LITERAL("HTTP/1.0"));
	if (!guard->http_1_0 && !str_eq(line->version, STR_LITERAL("HTTP/1.1")))
		guard->bad = true;
	if (!grammar_is_token(line->method) || !is_target(line->target))
		guard->bad = true;
	if (!line->target_at)
		return;
	/* Exactly one blank between the parts, and CRLF behind the last. */
	if (line->target_at != line->method.p + line->method.n + 1 ||
	    line->version.p != line->target_at + line->target.n + 1)
		guard->bad = true;
	guard->accounts = true;
	guard->accounted = line->method.n + 1 + line->target.n + 1 + line->version.n + 2;
	guard->next_name = line->version.p + line->version.n + 2;
}

/* The library has put NULs in the place of both bytes of a CRLF. */
static bool was_crlf(const char *at)
{
	return at[0] == '\0' && at[1] == '\0';
}

static void account(struct guard *guard, struct str name, struct str value)
{
	/* Between a name and its value stands at least the colon. */
	if (name.p != guard->next_name || value.p < name.p + name.n + 1 ||
	    !was_crlf(value.p + value.n)) {
		guard->bad = true;
		return;
	}
	guard->accounted += (size_t)(value.p - name.p) + value.n + 2;
	guard->next_name = value.p + value.n + 2;
}

void guard_header(struct guard *guard, struct str name, struct str value)
{
	if (guard->accounts)
		account(guard, name, value);
	if (guard->bad || !grammar_is_token(name) || !grammar_is_field_value(value)) {
		guard->bad = true;
		return;
	}
	if (str_eq_nocase(name, STR_LITERAL("host"))) {
		guard->n_hosts++;
	} else if (str_eq_nocase(name, STR_LITERAL("content-length"))) {
		guard->n_lengths++;
		if (str_to_u64(value, &guard->content_length) < 0 ||
		    guard->content_length > INT64_MAX)
			guard->bad = true;
	} else if (str_eq_nocase(name, STR_LITERAL("transfer-encoding"))) {
		guard->n_codings++;
		if (str_eq_nocase(value, STR_LITERAL("chunked")))
			guard->chunked = true;
		else
			guard->other_coding = true;
	}
}

enum guard_verdict guard_end(const struct guard *guard, size_t head_bytes)
{
	if (guard->bad || guard->n_lengths > 1 || guard->n_codings > 1)
		return GUARD_BAD_FRAMING;
	if (guard->n_codings && (guard->n_lengths || guard->http_1_0))
		return GUARD_BAD_FRAMING;
	if (guard->n_hosts > 1 || (guard->n_hosts == 0 && !guard->http_1_0))
		return GUARD_BAD_FRAMING;
	/* The sum first: it shows that the last two bytes lie inside the head. */
	if (guard->accounts && (guard->accounted + 2 != head_bytes || !was_crlf(guard->next_name)))
		return GUARD_BAD_FRAMING;
	return guard->other_coding ? GUARD_UNSUPPORTED_CODING : GUARD_PASS;
}
