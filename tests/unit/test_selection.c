/* SPDX-License-Identifier: Apache-2.0 */
#include "export/selection.h"

#include <stdlib.h>

#include "tests/tap.h"

static struct registry *new_registry(bool clean)
{
	const struct registry_options options = {
		.clean_names = clean, .max_series = 1000, .max_series_per_family = 100};
	struct registry *registry = registry_new(&options);

	if (!registry)
		abort();
	return registry;
}

static const struct {
	const char *query;
	bool selects;
	int n; /* families */
	enum metric one;
} cases[] = {
	{NULL, false, 0, 0},
	{"", false, 0, 0},
	{"verbose", false, 0, 0},
	{"name=nexus_requests_total", false, 0, 0},
	{"names[]=nexus_requests_total&name[x]=a", false, 0, 0},
	{"name[]=nexus_requests_total", true, 1, METRIC_REQUESTS},
	{"name[]=nexus_requests", true, 1, METRIC_REQUESTS},
	{"name[]=nexus_requests_created", true, 1, METRIC_REQUESTS},
	{"name%5B%5D=nexus%5frequests", true, 1, METRIC_REQUESTS},
	{"name%5b]=nexus_requests", true, 1, METRIC_REQUESTS},
	{"a=b&name[]=nexus_build_info&", true, 1, METRIC_BUILD_INFO},
	{"name[]=nexus_build", true, 1, METRIC_BUILD_INFO},
	{"name[]=nexus_tokens_total", true, 1, METRIC_TOKENS},
	{"name[]=nexus_tokens_total_bucket", true, 1, METRIC_TOKENS},
	{"name[]=nexus_tokens_total_sum", true, 1, METRIC_TOKENS},
	{"name[]=nexus_tokens_total_count", true, 1, METRIC_TOKENS},
	{"name[]=nexus_tokens", true, 0, 0},
	{"name[]=nexus_active_streams_total", true, 0, 0},
	{"name[]=nexus_requests_totals", true, 0, 0},
	{"name[]=nexus_request", true, 0, 0},
	{"name[]=", true, 0, 0},
	{"name[]", true, 0, 0},
	{"name[]=Nexus_requests", true, 0, 0},
	{"name[]=nexus_requests&name[]=nexus_requests_total", true, 1, METRIC_REQUESTS},
	{"name[]=nexus_requests&name[]=nexus_errors_total&name[]=nobody", true, 2, METRIC_ERRORS},
};

static void test_cases(const struct registry *registry)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *query = cases[i].query ? cases[i].query : "(none)";
		bool only[N_METRICS];
		int n = 0;

		memset(only, true, sizeof(only));
		ok(selection_parse(registry, str_of(cases[i].query), only) == cases[i].selects,
		   "%s: %s", query, cases[i].selects ? "selects" : "is no selection");
		if (!cases[i].selects)
			continue;
		for (size_t j = 0; j < N_METRICS; j++)
			n += only[j];
		is_int(n, cases[i].n, "%s: so many families", query);
		ok(n == 0 || only[cases[i].one], "%s: the right one among them", query);
	}
}

static void test_clean_names(void)
{
	struct registry *registry = new_registry(true);
	bool only[N_METRICS];

	ok(selection_parse(registry, str_of("name[]=nexus_request_tokens_count"), only) &&
		   only[METRIC_TOKENS],
	   "names are those that are shown");
	ok(selection_parse(registry, str_of("name[]=nexus_tokens_total"), only) &&
		   !only[METRIC_TOKENS],
	   "and no others");
	registry_free(registry);
}

/* A name that does not fit is nobody's. */
static void test_long_name(const struct registry *registry)
{
	char query[1000];
	bool only[N_METRICS];
	size_t n = 0;

	memset(query, 'a', sizeof(query));
	memcpy(query, "name[]=", strlen("name[]="));
	ok(selection_parse(registry, (struct str){query, sizeof(query)}, only), "a long name");
	for (size_t i = 0; i < N_METRICS; i++)
		n += only[i];
	is_u64(n, 0, "selects nothing");
}

int main(void)
{
	struct registry *registry = new_registry(false);

	test_cases(registry);
	test_long_name(registry);
	test_clean_names();
	registry_free(registry);
	return tap_done();
}
