/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How each dialect of StatsD, and Carbon, writes a line. A dialect is a row of a table; everything
 * else is the same for all. Names hold nothing but letters, digits and _ - (and the dots of the
 * prefix and between the parts), so that nothing needs quoting anywhere.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "config/config.h"
#include "metrics/catalog.h"

struct statsd_dialect {
	/* Before the first tag, before each further one, between key and value; NULL: label values
	 * are parts of the name. */
	const char *tag_first, *tag_next, *tag_assign;
	bool has_tags_last;     /* behind the value and its type, not behind the name */
	bool has_totals;        /* since the start, with the time, instead of what was added */
	bool has_distributions; /* a histogram's buckets are its observations again */
};

const struct statsd_dialect *statsd_dialect(enum config_dialect dialect);

/* What the lines of one push have in common; borrows everything. */
struct statsd_format {
	const struct statsd_dialect *dialect;
	struct str prefix;
	char *const *tags; /* key:value */
	size_t n_tags;
	uint64_t time_sec; /* since 1970 */
};

/* In how many of our integers values are sent: nanoseconds as milliseconds, nano-dollars as
 * micro-dollars. */
uint64_t statsd_divisor(enum metric_unit unit);

enum { STATSD_FAMILY_BYTES = 96 };
/* The family without "nexus_" and "_total", its unit as it is sent. Returns `text`. */
const char *statsd_family(char text[static STATSD_FAMILY_BYTES], const char *name,
			  enum metric_unit unit);

/* What the lines of one series have in common: their beginning, what stands between the name's
 * suffix and the value, and what ends them. */
struct statsd_name {
	struct buf text;
	size_t n_begin, n_middle; /* bytes; the rest is the end */
};

void statsd_name_init(struct statsd_name *name);
void statsd_name_done(struct statsd_name *name);
/* `labels` is a sample's text: model="a",backend="b". -ENOMEM, -EMSGSIZE. */
int statsd_name_make(struct statsd_name *name, const struct statsd_format *format,
		     struct str family, struct str labels) MUST_CHECK;

/* X(id, what stands behind the value) */
#define STATSD_KINDS(X)  \
	X(COUNTER, "|c") \
	X(GAUGE, "|g")   \
	X(DISTRIBUTION, "|d")

enum statsd_kind {
#define X(id, text) STATSD_##id,
	STATSD_KINDS(X)
#undef X
};

/* What is said of a series: `amount` by `divisor`. */
struct statsd_value {
	enum statsd_kind kind;
	int64_t amount;
	uint64_t divisor;
	uint64_t times; /* of a distribution: so many observations of this value */
};

/* Appends a line with its line feed; `suffix` ends the name, such as ".count". A negative gauge is
 * two lines that belong together: to a receiver a sign means a change, so it is set to 0 first.
 * -ENOMEM, -EMSGSIZE. */
int statsd_dialect_write(struct buf *out, const struct statsd_format *format,
			 const struct statsd_name *name, struct str suffix,
			 const struct statsd_value *value) MUST_CHECK;

enum { STATSD_RATE_BYTES = 48 };
/* The sample rate that stands for `times` > 1 observations: 1 / rate is `times` again, also for a
 * receiver that cuts the fraction off. Returns `text`. */
const char *statsd_rate(char text[static STATSD_RATE_BYTES], uint64_t times);
