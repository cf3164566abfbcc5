/* SPDX-License-Identifier: Apache-2.0 */
#include "export/decimal.h"

#include <string.h>

#include "base/clock.h"

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233"
			    "34353637383940414243444546474849505152535455565758596061626364656667"
			    "6869707172737475767778798081828384858687888990919293949596979899";

/* The digits end at `end`; returns where they begin. */
static char *digits_before(char *end, uint64_t value)
{
	while (value >= 100) {
		end -= 2;
		memcpy(end, pairs + 2 * (value % 100), 2);
		value /= 100;
	}
	if (value < 10) {
		*--end = (char)('0' + value);
		return end;
	}
	end -= 2;
	memcpy(end, pairs + 2 * value, 2);
	return end;
}

char *decimal_u64(char *p, uint64_t value)
{
	char text[DECIMAL_MAX];
	char *end = text + sizeof(text), *begin;
	size_t n;

	if (value < 10) {
		*p = (char)('0' + value);
		return p + 1;
	}
	begin = digits_before(end, value);
	n = (size_t)(end - begin);
	memcpy(p, begin, n);
	return p + n;
}

char *decimal_i64(char *p, int64_t value)
{
	if (value >= 0)
		return decimal_u64(p, (uint64_t)value);
	*p = '-';
	return decimal_u64(p + 1, 0 - (uint64_t)value);
}

char *decimal_nano(char *p, uint64_t ns)
{
	char fraction[9];

	p = decimal_u64(p, ns / NS_PER_SEC);
	*p++ = '.';
	memset(fraction, '0', sizeof(fraction));
	digits_before(fraction + sizeof(fraction), ns % NS_PER_SEC);
	memcpy(p, fraction, sizeof(fraction));
	p += sizeof(fraction);
	while (p[-1] == '0' && p[-2] != '.')
		p--;
	return p;
}
