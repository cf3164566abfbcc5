/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges expositions for the system tests: reads "classic" or "openmetrics", a blank, the number of
 * bytes, a line feed and the text; answers "ok" or the first violation, on a line. Until the end of
 * its input.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/openmetrics_check.h"

enum { MAX_BYTES = 1 << 28 };

static int judge(enum exposition format, size_t n_bytes)
{
	char *text = malloc(n_bytes + 1);
	struct openmetrics_violation found;

	if (!text || fread(text, 1, n_bytes, stdin) != n_bytes) {
		free(text);
		return -1;
	}
	found = openmetrics_check((struct str){text, n_bytes}, format);
	free(text);
	if (found.line)
		printf("line %zu: %s\n", found.line, found.reason);
	else
		puts("ok");
	return fflush(stdout);
}

int main(void)
{
	char line[64];

	while (fgets(line, sizeof(line), stdin)) {
		struct str rest = {line, strcspn(line, "\n")};
		enum exposition format = str_eq(str_split(&rest, ' '), STR_LITERAL("classic"))
						 ? EXPOSITION_CLASSIC
						 : EXPOSITION_OPENMETRICS;
		uint64_t n_bytes;

		if (str_to_u64(rest, &n_bytes) < 0 || n_bytes > MAX_BYTES ||
		    judge(format, n_bytes) < 0)
			return 1;
	}
	return 0;
}
