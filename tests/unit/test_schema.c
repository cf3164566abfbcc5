/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include "config/config_text.h"
#include "config/schema_object.h"
#include "config/schema_set.h"
#include "tests/unit/config_fixture.h"

/* Each row judged by its own parser, so that a bad row fails here and not at some start. */
static void test_schema(void)
{
	for (size_t i = 0; i < SCHEMA_COUNT; i++) {
		const struct option *option = schema_at(i);
		char name[OPTION_NAME_MAX];
		uint64_t min, max;
		size_t help = strlen(option->help);

		schema_name(option, name);
		schema_range(option, &min, &max);
		ok(schema_find(option->scope, str_of(option->path)) == option, "%s is unique",
		   name);
		ok(strlen(name) + 1 < OPTION_NAME_MAX, "%s has room", name);
		ok(min <= max, "%s has a range", name);
		ok(!*option->max || max < UINT64_MAX, "%s has an end of it that can be read", name);
		ok(help > 0 && option->help[help - 1] == '.' && !strchr(option->help, '"'),
		   "%s has help in sentences", name);
		ok(!schema_is_group(option->scope, str_of(option->path)), "%s is no group", name);
		ok(option->reload == RELOAD_LIVE || option->scope == SCOPE_ROOT,
		   "%s has the reload class of its list", name);
	}
}

/*
 * The example states every default as a comment. "# " begins prose; any other line with a "#" is
 * an option, and without that character the whole has to load and change nothing.
 */
static char *uncommented_example(void)
{
	const char *source = getenv("NEXUSD_SOURCE");
	char path[1024], line[1024];
	struct buf text;
	size_t n;
	FILE *file;
	int r = 0;

	snprintf(path, sizeof(path), "%s/data/nexusd.conf", source ? source : ".");
	file = fopen(path, "re");
	if (!file)
		return NULL;
	buf_init(&text, CONFIG_TEXT_MAX);
	while (r == 0 && fgets(line, sizeof(line), file)) {
		bool is_option = line[0] == '#' && line[1] != ' ' && line[1] != '\n';

		r = buf_append_str(&text, str_of(is_option ? line + 1 : line));
	}
	fclose(file);
	return buf_take(&text, &n);
}

static void test_example(void)
{
	char *text = uncommented_example();
	struct result example, defaults;

	if (!text) {
		tap_skip("the example", "data/nexusd.conf is not there");
		return;
	}
	parse(&example, text);
	parse(&defaults, "");
	is_text(error_of(&example), "", "the example loads");
	ok(strstr(text, "\nlisteners = (") && strstr(text, "\n\tlevel = \"info\""),
	   "with its options");
	for (size_t i = 0; example.config && defaults.config && i < SCHEMA_COUNT; i++) {
		const struct option *option = schema_at(i);

		if (option->scope == SCOPE_ROOT)
			ok(schema_object_is_equal(option, example.config, defaults.config),
			   "%s is shown with its default", option->path);
	}
	done(&example);
	done(&defaults);
	free(text);
}

int main(void)
{
	test_schema();
	test_example();
	return tap_done();
}
