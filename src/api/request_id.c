/* SPDX-License-Identifier: Apache-2.0 */
#include "api/request_id.h"

#include <string.h>

#include "base/clock.h"

static char *write_hex(char *out, uint64_t value, unsigned digits)
{
	static const char hex[] = "0123456789abcdef";

	while (digits-- > 0)
		*out++ = hex[value >> (4 * digits) & 15];
	return out;
}

/* UUIDv7 (RFC 9562 section 5.7): milliseconds, then random bits. */
static void make_id(char *out, struct hash_random *random)
{
	uint64_t msec = clock_realtime_msec();
	uint64_t a = hash_random_next(random);
	uint64_t b = hash_random_next(random);

	out = write_hex(out, msec >> 16, 8);
	*out++ = '-';
	out = write_hex(out, msec, 4);
	*out++ = '-';
	out = write_hex(out, 0x7000 | (a & 0xfff), 4);
	*out++ = '-';
	out = write_hex(out, 0x8000 | (b & 0x3fff), 4);
	*out++ = '-';
	*write_hex(out, a >> 16, 12) = '\0';
}

static bool is_usable(struct str id)
{
	if (id.n < 1 || id.n > REQUEST_ID_MAX)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] <= ' ' || id.p[i] >= 0x7f)
			return false;
	return true;
}

void request_id_choose(char id[static REQUEST_ID_MAX + 1], struct str wanted,
		       struct hash_random *random)
{
	if (!is_usable(wanted)) {
		make_id(id, random);
		return;
	}
	memcpy(id, wanted.p, wanted.n);
	id[wanted.n] = '\0';
}
