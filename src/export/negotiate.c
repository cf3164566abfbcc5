/* SPDX-License-Identifier: Apache-2.0 */
#include "export/negotiate.h"

enum { Q_MAX = 1000 };

/* What one range says of one of our offers. */
struct match {
	unsigned specificity; /* 0: it does not match */
	unsigned q;           /* thousandths */
};

/* A format, or a content coding: that has a type only. */
struct offer {
	struct str type, subtype, version;
};

/* As str_split(), but a separator within a quoted string is none. */
static struct str split_quoted(struct str *rest, char separator)
{
	struct str first = *rest;
	bool quoted = false;

	for (size_t i = 0; i < first.n; i++) {
		if (quoted && first.p[i] == '\\')
			i++;
		else if (first.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && first.p[i] == separator) {
			*rest = (struct str){first.p + i + 1, first.n - i - 1};
			first.n = i;
			return str_trim(first);
		}
	}
	*rest = (struct str){NULL, 0};
	return str_trim(first);
}

static struct str unquoted(struct str value)
{
	if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
		return (struct str){value.p + 1, value.n - 2};
	return value;
}

/* RFC 9110 section 12.4.2: 0 or 1 with up to three decimals, not above 1. */
static bool parse_q(struct str text, unsigned *ret_q)
{
	unsigned q = 0, unit = Q_MAX;

	if (text.n == 0 || text.n > 5 || (text.n > 1 && text.p[1] != '.'))
		return false;
	for (size_t i = 0; i < text.n; i += i == 0 ? 2 : 1) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		q += (unsigned)(text.p[i] - '0') * unit;
		unit /= 10;
	}
	if (q > Q_MAX)
		return false;
	*ret_q = q;
	return true;
}

static unsigned specificity_of(struct str range, const struct offer *offer)
{
	struct str subtype = range;
	struct str type = str_split(&subtype, '/');

	if (offer->subtype.n == 0)
		return str_eq(range, STR_LITERAL("*")) ? 1 : 2 * str_eq_nocase(range, offer->type);
	if (str_eq(type, STR_LITERAL("*")) && str_eq(subtype, STR_LITERAL("*")))
		return 1;
	if (!str_eq_nocase(type, offer->type))
		return 0;
	if (str_eq(subtype, STR_LITERAL("*")))
		return 2;
	return str_eq_nocase(subtype, offer->subtype) ? 3 : 0;
}

/* Parameters that say nothing of our formats, such as Prometheus' `escaping`, do not narrow. */
static bool parameter_fits(struct str name, struct str value, const struct offer *offer,
			   unsigned *specificity)
{
	struct str ours;

	if (str_eq_nocase(name, STR_LITERAL("version")))
		ours = offer->version;
	else if (str_eq_nocase(name, STR_LITERAL("charset")))
		ours = STR_LITERAL("utf-8");
	else
		return true;
	++*specificity;
	return str_eq_nocase(value, ours);
}

static struct match judge(struct str range, const struct offer *offer)
{
	const struct match none = {0, 0};
	struct match match = {0, Q_MAX};

	match.specificity = specificity_of(split_quoted(&range, ';'), offer);
	while (match.specificity && range.p) {
		struct str value = split_quoted(&range, ';');
		struct str name = str_trim(str_split(&value, '='));

		value = unquoted(str_trim(value));
		if (str_eq_nocase(name, STR_LITERAL("q")))
			/* The weight ends the range's parameters. */
			return parse_q(value, &match.q) ? match : none;
		if (!parameter_fits(name, value, offer, &match.specificity))
			return none;
	}
	return match.specificity ? match : none;
}

/* The most specific range that matches decides, not the one with the highest weight. */
static struct match best_match(struct str accept, const struct offer *offer)
{
	struct match best = {0, 0};

	while (accept.p) {
		struct match match = judge(split_quoted(&accept, ','), offer);

		if (match.specificity > best.specificity ||
		    (match.specificity == best.specificity && match.q > best.q))
			best = match;
	}
	return best;
}

enum exposition negotiate_exposition(struct str accept)
{
	const struct offer openmetrics_offer = {
		STR_LITERAL("application"), STR_LITERAL("openmetrics-text"), STR_LITERAL("1.0.0")};
	const struct offer classic_offer = {STR_LITERAL("text"), STR_LITERAL("plain"),
					    STR_LITERAL("0.0.4")};
	struct match openmetrics = best_match(accept, &openmetrics_offer);
	struct match classic = best_match(accept, &classic_offer);

	if (openmetrics.q > classic.q)
		return EXPOSITION_OPENMETRICS;
	/* Liked equally: the one named more closely, else classic, which everybody reads. */
	if (openmetrics.q == classic.q && openmetrics.q > 0 &&
	    openmetrics.specificity > classic.specificity)
		return EXPOSITION_OPENMETRICS;
	return EXPOSITION_CLASSIC;
}

bool negotiate_gzip(struct str accept_encoding)
{
	const struct offer gzip_offer = {.type = STR_INIT("gzip")};
	const struct offer alias_offer = {.type = STR_INIT("x-gzip")};
	const struct offer identity_offer = {.type = STR_INIT("identity")};
	struct match gzip = best_match(accept_encoding, &gzip_offer);
	struct match alias = best_match(accept_encoding, &alias_offer);
	struct match identity = best_match(accept_encoding, &identity_offer);

	if (alias.specificity > gzip.specificity)
		gzip = alias;
	return gzip.q > 0 && gzip.q >= identity.q;
}
