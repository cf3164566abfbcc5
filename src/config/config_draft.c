/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_draft.h"

#include <stdlib.h>

#include "config/config_check.h"
#include "config/config_error.h"
#include "config/config_text.h"
#include "config/schema_object.h"

/* Built in as text, so that it goes the way of every other configuration. */
static const struct {
	const char *option, *text;
} built_in[] = {
	{"listeners", "listeners = ( { address = \"127.0.0.1:8000\"; } );"},
	{"backends",
	 "backends = ("
	 "{ name = \"demo\"; type = \"demo\"; priority = 100; },"
	 "{ name = \"local-ollama\"; type = \"ollama\"; priority = 1; optional = true; }"
	 ");"},
};

int config_draft_init(struct config_draft *draft, struct buf *error)
{
	*draft = (struct config_draft){.error = error};
	draft->config = calloc(1, sizeof(*draft->config));
	if (!draft->config)
		return config_error_memory(error);
	draft->config->references = 1;
	if (schema_object_init(SCOPE_ROOT, draft->config) < 0) {
		config_draft_done(draft);
		return config_error_memory(error);
	}
	return 0;
}

void config_draft_done(struct config_draft *draft)
{
	draft->config = config_unref(draft->config);
	for (size_t i = 0; i < SCHEMA_COUNT; i++)
		free(draft->variables[i]);
}

int config_draft_name(struct config_draft *draft, const char *name, const char **ret_name)
{
	struct config *config = draft->config;
	char **files = reallocarray(config->files, config->n_files + 1, sizeof(*files));
	char *copy;

	if (!files)
		return config_error_memory(draft->error);
	config->files = files;
	copy = str_dup(str_of(name));
	if (!copy)
		return config_error_memory(draft->error);
	files[config->n_files++] = copy;
	*ret_name = copy;
	return 0;
}

int config_draft_complete(struct config_draft *draft)
{
	for (size_t i = 0; i < ARRAY_SIZE(built_in); i++) {
		const struct option *option = schema_find(SCOPE_ROOT, str_of(built_in[i].option));
		int r;

		if (draft->given[schema_index(option)].file)
			continue;
		r = config_text_read(draft, NULL, str_of(built_in[i].text));
		if (r < 0)
			return r;
	}
	return config_check(draft);
}

struct config *config_draft_take(struct config_draft *draft)
{
	struct config *config = draft->config;

	draft->config = NULL;
	return config;
}
