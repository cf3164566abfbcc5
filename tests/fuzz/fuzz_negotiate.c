/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as Accept and as Accept-Encoding: nothing is chosen that the header does not speak of.
 */
#include <stdint.h>
#include <stdlib.h>

#include "export/negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool has_nocase(struct str text, struct str word)
{
	for (size_t i = 0; i + word.n <= text.n; i++)
		if (str_eq_nocase((struct str){text.p + i, word.n}, word))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str header = {(const char *)data, size};
	bool has_star = has_nocase(header, STR_LITERAL("*"));

	require(!negotiate_gzip(header) || has_star || has_nocase(header, STR_LITERAL("gzip")));
	require(negotiate_exposition(header) == EXPOSITION_CLASSIC || has_star ||
		has_nocase(header, STR_LITERAL("application/openmetrics-text")));
	return 0;
}
