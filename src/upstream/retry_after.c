/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/retry_after.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

/* RFC 9110, section 5.6.7, has three of them, and each must be taken. Of those with a comma what
 * begins there; a d is a digit of the day, an e one that may be a blank. */
static const char *const date_forms[] = {
	", dd bbb yyyy hh:mm:ss GMT", /* Sun, 06 Nov 1994 08:49:37 GMT */
	", dd-bbb-yy hh:mm:ss GMT",   /* Sunday, 06-Nov-94 08:49:37 GMT */
	"... bbb ed hh:mm:ss yyyy",   /* Sun Nov  6 08:49:37 1994 */
};

static struct str header_value(const struct transfer_head *head, struct str name)
{
	for (size_t i = 0; i < head->n_headers; i++)
		if (str_eq_nocase(head->headers[i].name, name))
			return str_trim(head->headers[i].value);
	return (struct str){NULL, 0};
}

static int month_of(const char *name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int month = 0; month < 12; month++)
		if (memcmp(names + 3 * month, name, 3) == 0)
			return month;
	return -1;
}

static int *number_of(struct tm *tm, char letter)
{
	switch (letter) {
	case 'd':
	case 'e':
		return &tm->tm_mday;
	case 'y':
		return &tm->tm_year;
	case 'h':
		return &tm->tm_hour;
	case 'm':
		return &tm->tm_min;
	case 's':
		return &tm->tm_sec;
	}
	return NULL;
}

/* The year as it is written. */
static bool read_date(const char *form, struct str text, struct tm *ret_tm)
{
	const char *month = strchr(form, 'b');
	struct tm tm = {0};

	if (text.n != strlen(form))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		int *number = number_of(&tm, form[i]);
		char c = form[i] == 'e' && text.p[i] == ' ' ? '0' : text.p[i];

		if (number && c >= '0' && c <= '9')
			*number = 10 * *number + (c - '0');
		else if (number || (form[i] != c && form[i] != '.' && form[i] != 'b'))
			return false;
	}
	tm.tm_mon = month_of(text.p + (month - form));
	*ret_tm = tm;
	return tm.tm_mon >= 0;
}

/* The one that ends in these two digits and is not more than 50 years ahead. */
static int whole_year(int digits, uint64_t unix_seconds)
{
	time_t now = (time_t)unix_seconds;
	struct tm tm;
	int first;

	if (!gmtime_r(&now, &tm))
		return digits;
	first = 1900 + tm.tm_year - 49;
	return first + (100 + digits - first % 100) % 100;
}

/* Values out of their range run over into the next unit, as timegm() has it. */
static int parse_date(struct str text, uint64_t unix_seconds, uint64_t *ret_unix_seconds)
{
	const char *comma = text.n ? memchr(text.p, ',', text.n) : NULL;
	struct tm tm = {0};
	size_t i = 0;
	time_t at;

	if (comma)
		text = (struct str){comma, text.n - (size_t)(comma - text.p)};
	while (i < ARRAY_SIZE(date_forms) && !read_date(date_forms[i], text, &tm))
		i++;
	if (i == ARRAY_SIZE(date_forms))
		return -EINVAL;
	if (tm.tm_year < 100)
		tm.tm_year = whole_year(tm.tm_year, unix_seconds);
	tm.tm_year -= 1900;
	at = timegm(&tm);
	if (at < 0)
		return -EINVAL;
	*ret_unix_seconds = (uint64_t)at;
	return 0;
}

uint64_t retry_after_seconds(const struct transfer_head *head, uint64_t unix_seconds)
{
	struct str value = header_value(head, STR_LITERAL("retry-after"));
	uint64_t seconds = 0, at;
	int r = str_to_u64(value, &seconds);

	if (r == -ERANGE)
		return RETRY_AFTER_MOST_SECONDS;
	if (r < 0 && parse_date(value, unix_seconds, &at) == 0)
		seconds = at > unix_seconds ? at - unix_seconds : 0;
	else if (r < 0)
		seconds = 0;
	return seconds < RETRY_AFTER_MOST_SECONDS ? seconds : RETRY_AFTER_MOST_SECONDS;
}
