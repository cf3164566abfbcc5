/* SPDX-License-Identifier: Apache-2.0 */
#include "export/selection.h"

enum { MAX_NAME_BYTES = 128 }; /* longer than any family's */

static bool is_name_key(struct str key)
{
	char text[8];
	size_t n;

	return str_percent_decode(key, text, sizeof(text), &n) == 0 &&
	       str_eq((struct str){text, n}, STR_LITERAL("name[]"));
}

static void select_name(const struct registry *registry, struct str value, bool *only)
{
	char name[MAX_NAME_BYTES];
	size_t n;

	if (str_percent_decode(value, name, sizeof(name), &n) < 0)
		return;
	for (int metric = 0; metric < N_METRICS; metric++)
		if (registry_has_name(registry, (enum metric)metric, (struct str){name, n}))
			only[metric] = true;
}

bool selection_parse(const struct registry *registry, struct str query, bool only[static N_METRICS])
{
	bool is_first = true;

	while (query.p) {
		struct str value = str_split(&query, '&');
		struct str key = str_split(&value, '=');

		if (!is_name_key(key))
			continue;
		if (is_first)
			memset(only, 0, N_METRICS * sizeof(only[0]));
		is_first = false;
		select_name(registry, value, only);
	}
	return !is_first;
}
