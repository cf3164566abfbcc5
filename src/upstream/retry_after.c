/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/retry_after.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

/* "Sun, 06 Nov 1994 08:49:37 GMT": every part has its place. */
#define DATE_FORM "..., dd mmm dddd dd:dd:dd GMT"

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

static bool has_form(struct str text)
{
	static const char form[] = DATE_FORM;

	if (text.n != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		bool is_digit = text.p[i] >= '0' && text.p[i] <= '9';

		if (form[i] == 'd' ? !is_digit
				   : form[i] != '.' && form[i] != 'm' && form[i] != text.p[i])
			return false;
	}
	return true;
}

static int number_at(struct str text, size_t offset, size_t n)
{
	int number = 0;

	for (size_t i = 0; i < n; i++)
		number = 10 * number + (text.p[offset + i] - '0');
	return number;
}

/* Values out of their range run over into the next unit, as timegm() has it. */
static int parse_date(struct str text, uint64_t *ret_unix_seconds)
{
	struct tm tm = {0};
	time_t at;

	if (!has_form(text))
		return -EINVAL;
	tm.tm_mday = number_at(text, 5, 2);
	tm.tm_mon = month_of(text.p + 8);
	tm.tm_year = number_at(text, 12, 4) - 1900;
	tm.tm_hour = number_at(text, 17, 2);
	tm.tm_min = number_at(text, 20, 2);
	tm.tm_sec = number_at(text, 23, 2);
	at = tm.tm_mon < 0 ? -1 : timegm(&tm);
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
	if (r < 0 && parse_date(value, &at) == 0)
		seconds = at > unix_seconds ? at - unix_seconds : 0;
	else if (r < 0)
		seconds = 0;
	return seconds < RETRY_AFTER_MOST_SECONDS ? seconds : RETRY_AFTER_MOST_SECONDS;
}
