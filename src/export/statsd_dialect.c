/* SPDX-License-Identifier: Apache-2.0 */
#include "export/statsd_dialect.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "export/decimal.h"
#include "metrics/label.h"

/* The longest: a prefix, a family, three labels and all tags. */
enum { NAME_MAX_BYTES = 1024 };

static const struct statsd_dialect dialects[] = {
	[DIALECT_PLAIN] = {.tag_first = NULL},
	[DIALECT_GRAPHITE] = {.tag_first = ";", .tag_next = ";", .tag_assign = "="},
	[DIALECT_DOGSTATSD] = {.tag_first = "|#",
			       .tag_next = ",",
			       .tag_assign = ":",
			       .has_tags_last = true,
			       .has_distributions = true},
	[DIALECT_INFLUX] = {.tag_first = ",", .tag_next = ",", .tag_assign = "="},
	[DIALECT_CARBON] = {.has_totals = true},
};

const struct statsd_dialect *statsd_dialect(enum config_dialect dialect)
{
	return &dialects[dialect];
}

static const struct {
	const char *name;
	uint64_t divisor;
} units[] = {
	[UNIT_NONE] = {"", 1},
	[UNIT_BYTES] = {"_bytes", 1},
	[UNIT_SECONDS] = {"_ms", NS_PER_MSEC},
	[UNIT_USD] = {"_microusd", 1000},
};

uint64_t statsd_divisor(enum metric_unit unit)
{
	return units[unit].divisor;
}

static struct str without_prefix(struct str text, struct str prefix)
{
	return str_has_prefix(text, prefix) ? (struct str){text.p + prefix.n, text.n - prefix.n}
					    : text;
}

static struct str without_suffix(struct str text, struct str suffix)
{
	if (text.n > suffix.n && str_eq((struct str){text.p + text.n - suffix.n, suffix.n}, suffix))
		text.n -= suffix.n;
	return text;
}

const char *statsd_family(char text[static STATSD_FAMILY_BYTES], const char *name,
			  enum metric_unit unit)
{
	struct str family = {name, strlen(name)};

	family = without_prefix(family, STR_LITERAL("nexus_"));
	family = without_suffix(family, STR_LITERAL("_total"));
	family = without_suffix(family, str_of(metric_unit_name(unit)));
	snprintf(text, STATSD_FAMILY_BYTES, "%.*s%s", (int)family.n, family.p, units[unit].name);
	return text;
}

void statsd_name_init(struct statsd_name *name)
{
	buf_init(&name->text, NAME_MAX_BYTES);
}

void statsd_name_done(struct statsd_name *name)
{
	buf_done(&name->text);
}

/* Takes key="value" off the labels; the value as it is escaped there. */
static void next_label(struct str *labels, struct str *ret_key, struct str *ret_value)
{
	const char *p;
	size_t n = 0;

	*ret_key = str_split(labels, '=');
	p = labels->p + 1; /* behind the quote */
	while (p[n] != '"')
		n += p[n] == '\\' ? 2 : 1;
	*ret_value = (struct str){p, n};
	n += 2;
	if (n < labels->n) /* a comma */
		n++;
	*labels = (struct str){labels->p + n, labels->n - n};
}

static bool is_plain(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/*
 * Each other character becomes _. Names of models and backends have such characters only with
 * metrics.label_values = "raw"; two of them must not become one, so the hash of the whole name is
 * added. Its seed is fixed: a name must be the same after every start.
 */
static int append_value(struct buf *out, struct str key, struct str value)
{
	bool is_changed = false;
	char *begin, *p;
	int r = buf_reserve(out, value.n, &begin);

	if (r < 0)
		return r;
	p = begin;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		bool is_continuation = ((unsigned char)c & 0xC0) == 0x80;

		if (!is_continuation)
			*p++ = is_plain(c) ? c : '_';
		is_changed |= !is_plain(c);
		i += c == '\\'; /* an escape is one character */
	}
	buf_commit(out, (size_t)(p - begin));
	if (!is_changed || !label_names_the_fleet(key))
		return 0;
	return buf_printf(out, "_%08" PRIx64,
			  hash_bytes((struct hash_seed){0, 0}, value.p, value.n) >> 32);
}

static int append_values(struct buf *out, struct str labels)
{
	struct str key, value;
	int r = 0;

	while (labels.n && r == 0) {
		next_label(&labels, &key, &value);
		r = buf_append(out, ".", 1);
		if (r == 0)
			r = append_value(out, key, value);
	}
	return r;
}

static int append_tag(struct buf *out, const struct statsd_dialect *dialect, struct str key,
		      bool is_first)
{
	int r = buf_append_str(out, str_of(is_first ? dialect->tag_first : dialect->tag_next));

	if (r == 0)
		r = buf_append_str(out, key);
	return r == 0 ? buf_append_str(out, str_of(dialect->tag_assign)) : r;
}

static int append_tags(struct buf *out, const struct statsd_format *format, struct str labels)
{
	struct str key, value;
	bool is_first = true;
	int r = 0;

	for (; labels.n && r == 0; is_first = false) {
		next_label(&labels, &key, &value);
		r = append_tag(out, format->dialect, key, is_first);
		if (r == 0)
			r = append_value(out, key, value);
	}
	for (size_t i = 0; i < format->n_tags && r == 0; i++, is_first = false) {
		value = str_of(format->tags[i]);
		key = str_split(&value, ':');
		r = append_tag(out, format->dialect, key, is_first);
		if (r == 0)
			r = buf_append_str(out, value);
	}
	return r;
}

int statsd_name_make(struct statsd_name *name, const struct statsd_format *format,
		     struct str family, struct str labels)
{
	const struct statsd_dialect *dialect = format->dialect;
	struct buf *out = &name->text;
	int r;

	buf_clear(out);
	r = buf_printf(out, "%.*s.%.*s", (int)format->prefix.n, format->prefix.p, (int)family.n,
		       family.p);
	if (r == 0 && !dialect->tag_first)
		r = append_values(out, labels);
	name->n_begin = out->len;
	if (r == 0 && dialect->tag_first)
		r = append_tags(out, format, labels);
	name->n_middle = dialect->has_tags_last ? 0 : out->len - name->n_begin;
	return r;
}

/* Through memory: the x87 would keep more digits than receivers have. */
static double inverse(double value)
{
	volatile double result = 1 / value;

	return result;
}

const char *statsd_rate(char text[static STATSD_RATE_BYTES], uint64_t times)
{
	double rate = inverse((double)times);
	int decimals = 17, n;

	while (inverse(rate) < (double)times)
		rate = nextafter(rate, 0);
	/* Seventeen digits give the double again; a rate in the form 5e-05 is not for everybody. */
	for (uint64_t scale = times; scale >= 10; scale /= 10)
		decimals++;
	n = snprintf(text, STATSD_RATE_BYTES, "%.*f", decimals, rate);
	while (text[n - 1] == '0')
		text[--n] = '\0';
	return text;
}

/* Exact, with no more decimals than it needs. */
static char *put_quotient(char *p, uint64_t value, uint64_t divisor)
{
	uint64_t rest = value % divisor;

	p = decimal_u64(p, value / divisor);
	if (rest)
		*p++ = '.';
	while (rest) {
		divisor /= 10;
		*p++ = (char)('0' + rest / divisor);
		rest %= divisor;
	}
	return p;
}

static int append_parts(struct buf *out, const struct str *parts, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = buf_append_str(out, parts[i]);
	return r;
}

static int write_line(struct buf *out, const struct statsd_format *format,
		      const struct statsd_name *name, struct str suffix, struct str value,
		      struct str behind)
{
	const char *text = name->text.data;
	size_t at_end = name->n_begin + name->n_middle;
	const struct str parts[] = {
		{text, name->n_begin},
		suffix,
		{text + name->n_begin, name->n_middle},
		format->dialect->has_totals ? STR_LITERAL(" ") : STR_LITERAL(":"),
		value,
		behind,
		{text + at_end, name->text.len - at_end},
		STR_LITERAL("\n"),
	};

	return append_parts(out, parts, ARRAY_SIZE(parts));
}

int statsd_dialect_write(struct buf *out, const struct statsd_format *format,
			 const struct statsd_name *name, struct str suffix,
			 const struct statsd_value *value)
{
	static const char *const kinds[] = {
#define X(id, text) [STATSD_##id] = (text),
		STATSD_KINDS(X)
#undef X
	};
	char number[DECIMAL_MAX + 8], behind[STATSD_RATE_BYTES + 8], rate[STATSD_RATE_BYTES];
	uint64_t amount = (uint64_t)value->amount;
	char *end = number;
	int r = 0;

	if (value->amount < 0) {
		*end++ = '-';
		amount = 0 - amount;
	}
	end = put_quotient(end, amount, value->divisor);
	if (format->dialect->has_totals)
		snprintf(behind, sizeof(behind), " %" PRIu64, format->time_sec);
	else
		snprintf(behind, sizeof(behind), "%s%s%s", kinds[value->kind],
			 value->times > 1 ? "|@" : "",
			 value->times > 1 ? statsd_rate(rate, value->times) : "");
	if (value->amount < 0 && !format->dialect->has_totals)
		r = write_line(out, format, name, suffix, STR_LITERAL("0"), str_of(behind));
	if (r == 0)
		r = write_line(out, format, name, suffix,
			       (struct str){number, (size_t)(end - number)}, str_of(behind));
	return r;
}
