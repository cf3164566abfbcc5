/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/retry_after.h"

#include "tap.h"

#define NOW 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 */

static const struct {
	const char *what, *value;
	uint64_t seconds;
} cases[] = {
	{"seconds", "17", 17},
	{"with blanks around", " 17\t", 17},
	{"none", "0", 0},
	{"too many", "86400", RETRY_AFTER_MOST_SECONDS},
	{"more than 64 bits", "99999999999999999999999", RETRY_AFTER_MOST_SECONDS},
	{"not even a number", "soon", 0},
	{"a sign", "-5", 0},
	{"decimals", "1.5", 0},
	{"nothing", "", 0},
	{"a date", "Sun, 06 Nov 1994 08:50:07 GMT", 30},
	{"this very moment", "Sun, 06 Nov 1994 08:49:37 GMT", 0},
	{"the past", "Sat, 05 Nov 1994 08:49:37 GMT", 0},
	{"far away", "Mon, 07 Nov 1994 08:49:37 GMT", RETRY_AFTER_MOST_SECONDS},
	{"over the end of a year", "Sun, 01 Jan 1995 00:00:00 GMT", RETRY_AFTER_MOST_SECONDS},
	{"the weekday is not looked at", "???, 06 Nov 1994 08:50:07 GMT", 30},
	{"no month", "Sun, 06 Nuv 1994 08:50:07 GMT", 0},
	{"a month across two", "Sun, 06 anF 1994 08:50:07 GMT", 0},
	{"another zone", "Sun, 06 Nov 1994 08:50:07 CET", 0},
	{"no zone", "Sun, 06 Nov 1994 08:50:07", 0},
	{"letters for digits", "Sun, 06 Nov 1994 08:5x:07 GMT", 0},
	{"one of the forms that nobody makes any more", "Sunday, 06-Nov-94 08:50:07 GMT", 30},
	{"at most 50 years ahead", "Sunday, 06-Nov-44 08:49:37 GMT", RETRY_AFTER_MOST_SECONDS},
	{"but not more", "Sunday, 06-Nov-45 08:49:37 GMT", 0},
	{"the next century", "Saturday, 01-Jan-00 00:00:00 GMT", RETRY_AFTER_MOST_SECONDS},
	{"it has two digits", "Sunday, 06-Nov-1994 08:50:07 GMT", 0},
	{"and a zone", "Sunday, 06-Nov-94 08:50:07 CET", 0},
	{"the other one", "Sun Nov  6 08:50:07 1994", 30},
	{"its day with a zero", "Sun Nov 06 08:50:07 1994", 30},
	{"tomorrow", "Mon Nov  7 08:49:37 1994", RETRY_AFTER_MOST_SECONDS},
	{"two digits", "Mon Nov 17 08:49:37 1994", RETRY_AFTER_MOST_SECONDS},
	{"no day", "Sun Nov    08:50:07 1994", 0},
	{"no month", "Sun Nuv  6 08:50:07 1994", 0},
	{"a blank in a time", "Sun Nov  6  8:50:07 1994", 0},
	{"a comma and no more", "Sunday,", 0},
	{"something behind it", "Sun, 06 Nov 1994 08:50:07 GMT;", 0},
	{"before 1970", "Sun, 06 Nov 1904 08:50:07 GMT", 0},
};

int main(void)
{
	struct header headers[] = {
		{STR_LITERAL("Content-Type"), STR_LITERAL("text/plain")},
		{STR_LITERAL("RETRY-After"), {NULL, 0}},
	};
	const struct transfer_head without = {.headers = headers, .n_headers = 1};
	const struct transfer_head with = {.headers = headers, .n_headers = 2};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		headers[1].value = str_of(cases[i].value);
		is_u64(retry_after_seconds(&with, NOW), cases[i].seconds, "%s: %s", cases[i].what,
		       cases[i].value);
	}
	is_u64(retry_after_seconds(&without, NOW), 0, "no such header");
	return tap_done();
}
