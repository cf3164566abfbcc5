/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The published cases, a folder each with `metrics` and `test.json`, are in
 * $NEXUSD_TEST_DATA/openmetrics-cases; without it only the cases here are judged.
 */
#include "tests/openmetrics_check.h"

#include <dirent.h>
#include <stdlib.h>

#include "tests/tap.h"

enum { MAX_CASE_BYTES = 65536, N_PUBLISHED = 211 };

static const struct {
	const char *text;
	size_t line; /* of the violation, 0 for none */
	const char *reason;
} openmetrics_cases[] = {
	{"# EOF\n", 0, NULL},
	{"# TYPE a counter\na_total 1\n# EOF\n", 0, NULL},
	{"# TYPE a counter\na_total 1\na_created 1.5\n# EOF\n", 0, NULL},
	{"# TYPE a counter\na_total 1\na_total 1\n# EOF\n", 3, "the same sample twice"},
	{"# TYPE a counter\na 1\n# EOF\n", 2, "the family was there before, or its name"},
	{"# TYPE a gauge\na{b=\"1\",c=\"2\"} 1\na{c=\"2\",b=\"1\"} 1\n# EOF\n", 3,
	 "the same sample twice"},
	{"# TYPE a gauge\na{b=\"1\"} 1\na{b=\"2\"} 1\na{b=\"1\"} 1\n# EOF\n", 4,
	 "the samples of a label set are not together"},
	{"# TYPE a histogram\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1\n# EOF\n", 3,
	 "buckets are not cumulative"},
	{"# TYPE a histogram\na_bucket{le=\"1.0\"} 1\na_sum 1.0\na_count 1\n# EOF\n", 5,
	 "a histogram without its +Inf bucket"},
	{"# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 1.0\na_count 1\n# EOF\n", 5,
	 "the count is not the +Inf bucket"},
	{"# TYPE a histogram\na_bucket{le=\"+Inf\"} 1.5\n# EOF\n", 2, "not a whole number"},
	{"a 1\n# TYPE b gauge\nb 1\na 1\n# EOF\n", 4, "the family was there before, or its name"},
	{"a \xff\n# EOF\n", 1, "not UTF-8"},
	{"a 1\n", 1, "no # EOF"},
	{"", 1, "no # EOF"},
	{"a 1\r\n# EOF\n", 1, "the value is no number"},
	{"# TYPE a gauge\na{b=\"\xc3\xa9\\\\\"} 1\n# EOF\n", 0, NULL},
	{"a{b=\"\\\"} 1\n# EOF\n", 1, "a label's value does not end"},
};

static const struct {
	const char *text;
	size_t line;
} classic_cases[] = {
	{"", 0},
	{"# HELP a_total b\n# TYPE a_total counter\na_total 1\n", 0},
	{"# TYPE a untyped\na 1\n", 0},
	{"# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1.0\na_count 1\n", 0},
	{"# TYPE a_total counter\na_total 1", 2},
	{"# TYPE a_total counter\na_total -1\n", 2},
	{"# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n", 2},
	{"# TYPE a info\na_info 1\n", 1},
	{"# TYPE a_total counter\na_total 1 # {b=\"c\"} 1\n", 2},
	{"# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1.0\n", 3},
	{"a 1\n# EOF\n", 2},
};

static void test_own_cases(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(openmetrics_cases); i++) {
		struct openmetrics_violation found = openmetrics_check(
			str_of(openmetrics_cases[i].text), EXPOSITION_OPENMETRICS);

		is_u64(found.line, openmetrics_cases[i].line, "OpenMetrics case %zu: its line", i);
		is_text(found.reason ? found.reason : "none",
			openmetrics_cases[i].reason ? openmetrics_cases[i].reason : "none",
			"and its reason");
	}
	for (size_t i = 0; i < ARRAY_SIZE(classic_cases); i++)
		is_u64(openmetrics_check(str_of(classic_cases[i].text), EXPOSITION_CLASSIC).line,
		       classic_cases[i].line, "classic case %zu", i);
}

static struct str read_file(char *bytes, const char *folder, const char *name, const char *file)
{
	char path[4096];
	size_t n = 0;
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s/%s", folder, name, file);
	stream = fopen(path, "rb");
	if (stream) {
		n = fread(bytes, 1, MAX_CASE_BYTES - 1, stream);
		fclose(stream);
	}
	bytes[n] = '\0';
	return (struct str){bytes, n};
}

static void test_published_case(const char *folder, const char *name)
{
	static char verdict[MAX_CASE_BYTES], text[MAX_CASE_BYTES];
	bool should_parse = false;
	struct openmetrics_violation found;

	read_file(verdict, folder, name, "test.json");
	should_parse = strstr(verdict, "\"shouldParse\": true") != NULL;
	if (!ok(should_parse || strstr(verdict, "\"shouldParse\": false"), "%s: a verdict", name))
		return;
	found = openmetrics_check(read_file(text, folder, name, "metrics"), EXPOSITION_OPENMETRICS);
	if (!ok((found.line == 0) == should_parse, "%s: %s", name,
		should_parse ? "parses" : "is rejected"))
		printf("#   line %zu: %s\n", found.line, found.reason ? found.reason : "nothing");
}

static int is_case(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strcmp(entry->d_name, "LICENSE") != 0;
}

static void test_published_cases(void)
{
	const char *data = getenv("NEXUSD_TEST_DATA");
	struct dirent **entries;
	char folder[4000];
	int n;

	if (!data) {
		tap_skip("the published OpenMetrics cases", "NEXUSD_TEST_DATA is not set");
		return;
	}
	snprintf(folder, sizeof(folder), "%s/openmetrics-cases", data);
	n = scandir(folder, &entries, is_case, alphasort);
	is_int(n, N_PUBLISHED, "published cases");
	for (int i = 0; i < n; i++) {
		test_published_case(folder, entries[i]->d_name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int main(void)
{
	test_own_cases();
	test_published_cases();
	return tap_done();
}
