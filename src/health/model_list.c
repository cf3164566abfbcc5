/* SPDX-License-Identifier: Apache-2.0 */
#include "health/model_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grammar.h"
#include "base/jsonscan.h"

#define DIGEST_MAX_BYTES       128
#define ARCHITECTURE_MAX_BYTES 64

static void entry_done(struct listed_model *entry)
{
	free(entry->model.id);
	free(entry->digest);
}

void model_list_done(struct model_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		entry_done(&list->entries[i]);
	free(list->entries);
	*list = (struct model_list){0};
}

/* A name that can stand in a request and in a header. */
static bool is_routable(struct str id)
{
	return id.n > 0 && id.n <= MODEL_ID_MAX_BYTES && utf8_is_valid(id) &&
	       !grammar_has_control(id);
}

/* What is looked for in the answer: the list, its items and what may stand in one. */
enum list_path {
	LIST_ITSELF,
	LIST_ITEM,
	LIST_ID,
	LIST_DIGEST,
	/* vLLM, OpenRouter and llama.cpp each say it in their own way. */
	LIST_MAX_MODEL_LEN,
	LIST_CONTEXT_LENGTH,
	LIST_N_CTX_TRAIN,
	N_LIST_PATHS
};

#define N_CONTEXT_LENGTHS (N_LIST_PATHS - LIST_MAX_MODEL_LEN)

/* An item as far as it was read. */
struct item {
	char id[MODEL_ID_MAX_BYTES], digest[DIGEST_MAX_BYTES];
	size_t id_bytes, digest_bytes;
	uint64_t context_lengths[N_CONTEXT_LENGTHS];
};

struct list_reading {
	struct model_list list;
	size_t size; /* room in its entries */
	bool is_ollama, is_list;
	struct item item;
	int error;
};

/* The decoded text, or none when it is no string or a longer one. */
static size_t text_of(struct json_value value, char *out, size_t size)
{
	size_t n;

	return json_string_decode(value, out, size, &n) == 0 ? n : 0;
}

static uint64_t tokens_of(struct json_value value)
{
	uint64_t tokens;

	return json_number_u53(value, &tokens) == 0 ? tokens : 0;
}

static int reserve(struct list_reading *reading)
{
	size_t size = reading->size ? 2 * reading->size : 16;
	struct listed_model *entries;

	if (reading->list.n < reading->size)
		return 0;
	entries = reallocarray(reading->list.entries, size, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	reading->list.entries = entries;
	reading->size = size;
	return 0;
}

/* 0 also when the item is left out. */
static int add_item(struct list_reading *reading)
{
	const struct item *item = &reading->item;
	struct str id = {item->id, item->id_bytes}, digest = {item->digest, item->digest_bytes};
	struct listed_model entry = {.described = !reading->is_ollama};

	if (reading->list.n == MODEL_LIST_MAX || !is_routable(id))
		return 0;
	if (reserve(reading) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < N_CONTEXT_LENGTHS && entry.model.context_length == 0; i++)
		entry.model.context_length = item->context_lengths[i];
	entry.model.id = str_dup(id);
	if (digest.n > 0)
		entry.digest = str_dup(digest);
	if (!entry.model.id || (digest.n > 0 && !entry.digest)) {
		entry_done(&entry);
		return -ENOMEM;
	}
	reading->list.entries[reading->list.n++] = entry;
	return 0;
}

static void note_value(void *context, size_t path_index, struct json_value value)
{
	struct list_reading *reading = context;
	struct item *item = &reading->item;

	switch ((enum list_path)path_index) {
	case LIST_ITSELF:
		/* Older Ollamas say null when they have no model. */
		reading->is_list =
			value.type == JSON_ARRAY || (reading->is_ollama && value.type == JSON_NULL);
		break;
	case LIST_ITEM:
		if (reading->error == 0)
			reading->error = add_item(reading);
		*item = (struct item){.id_bytes = 0};
		break;
	case LIST_ID:
		item->id_bytes = text_of(value, item->id, sizeof(item->id));
		break;
	case LIST_DIGEST:
		item->digest_bytes = text_of(value, item->digest, sizeof(item->digest));
		break;
	default:
		item->context_lengths[path_index - LIST_MAX_MODEL_LEN] = tokens_of(value);
	}
}

static int compare_entries(const void *left, const void *right)
{
	const struct listed_model *a = left, *b = right;

	return strcmp(a->model.id, b->model.id);
}

static void sort(struct model_list *list)
{
	size_t kept = 0;

	if (list->n == 0) /* and perhaps nothing to point at */
		return;
	qsort(list->entries, list->n, sizeof(*list->entries), compare_entries);
	for (size_t i = 0; i < list->n; i++) {
		if (kept > 0 && compare_entries(&list->entries[kept - 1], &list->entries[i]) == 0)
			entry_done(&list->entries[i]);
		else
			list->entries[kept++] = list->entries[i];
	}
	list->n = kept;
}

static bool is_unchanged(const struct listed_model *a, const struct listed_model *b)
{
	if (!a->digest || !b->digest)
		return a->digest == b->digest;
	return strcmp(a->digest, b->digest) == 0;
}

/* Both lists are sorted. */
static void keep_descriptions(struct model_list *list, const struct model_list *old)
{
	size_t k = 0;

	for (size_t i = 0; i < list->n; i++) {
		struct listed_model *entry = &list->entries[i];
		char *id = entry->model.id;

		while (k < old->n && strcmp(old->entries[k].model.id, id) < 0)
			k++;
		if (k == old->n)
			return;
		if (entry->described || strcmp(old->entries[k].model.id, id) != 0 ||
		    !is_unchanged(entry, &old->entries[k]))
			continue;
		entry->model = old->entries[k].model;
		entry->model.id = id;
		entry->described = old->entries[k].described;
	}
}

int model_list_read(struct model_list *list, enum backend_type type, struct str body)
{
	bool is_ollama = type == BACKEND_OLLAMA;
	const char *name = is_ollama ? "models" : "data";
	const struct json_path paths[N_LIST_PATHS] = {
		[LIST_ITSELF] = {{name}},
		[LIST_ITEM] = {{name, "[]"}},
		[LIST_ID] = {{name, "[]", is_ollama ? "name" : "id"}},
		[LIST_DIGEST] = {{name, "[]", "digest"}},
		[LIST_MAX_MODEL_LEN] = {{name, "[]", "max_model_len"}},
		[LIST_CONTEXT_LENGTH] = {{name, "[]", "context_length"}},
		[LIST_N_CTX_TRAIN] = {{name, "[]", "meta", "n_ctx_train"}},
	};
	struct list_reading reading = {.is_ollama = is_ollama};
	struct jsonscan scan = {
		.paths = paths,
		.n_paths = N_LIST_PATHS,
		.found = note_value,
		.context = &reading,
		.judges_names = true,
	};

	if (jsonscan_run(&scan, body) != JSON_OK || !reading.is_list)
		reading.error = -EBADMSG;
	if (reading.error < 0) {
		model_list_done(&reading.list);
		return reading.error;
	}
	sort(&reading.list);
	keep_descriptions(&reading.list, list);
	model_list_done(list);
	*list = reading.list;
	return 0;
}

enum description_path { DESCRIPTION_CAPABILITY, DESCRIPTION_ARCHITECTURE };

struct description {
	bool has_capabilities, vision, tools;
	char architecture[ARCHITECTURE_MAX_BYTES];
	size_t architecture_bytes;
};

static void note_description(void *context, size_t path_index, struct json_value value)
{
	struct description *description = context;

	if (path_index == DESCRIPTION_ARCHITECTURE) {
		description->architecture_bytes = text_of(value, description->architecture,
							  sizeof(description->architecture));
		return;
	}
	description->has_capabilities = true;
	description->vision |= str_eq(value.text, STR_LITERAL("\"vision\""));
	description->tools |= str_eq(value.text, STR_LITERAL("\"tools\""));
}

static void note_tokens(void *context, size_t path_index UNUSED, struct json_value value)
{
	uint64_t *tokens = context;

	*tokens = tokens_of(value);
}

/* "<architecture>.context_length"; a model of several parts has one for each. */
static uint64_t ollama_context_length(struct str architecture, struct str body)
{
	char name[ARCHITECTURE_MAX_BYTES + sizeof(".context_length")];
	const struct json_path path = {{"model_info", name}};
	uint64_t tokens = 0;
	struct jsonscan scan = {
		.paths = &path, .n_paths = 1, .found = note_tokens, .context = &tokens};

	if (architecture.n == 0)
		return 0;
	(void)snprintf(name, sizeof(name), "%.*s.context_length", (int)architecture.n,
		       architecture.p);
	return jsonscan_run(&scan, body) == JSON_OK ? tokens : 0;
}

int model_list_describe(struct listed_model *entry, struct str body)
{
	static const struct json_path paths[] = {
		[DESCRIPTION_CAPABILITY] = {{"capabilities", "[]"}},
		[DESCRIPTION_ARCHITECTURE] = {{"model_info", "general.architecture"}},
	};
	struct description description = {.has_capabilities = false};
	struct jsonscan scan = {
		.paths = paths,
		.n_paths = ARRAY_SIZE(paths),
		.found = note_description,
		.context = &description,
	};

	if (jsonscan_run(&scan, body) != JSON_OK)
		return -EBADMSG;
	/* Older Ollamas tell none; an empty list says no more than that. */
	if (description.has_capabilities) {
		entry->model.vision = description.vision ? TRISTATE_YES : TRISTATE_NO;
		entry->model.tools = description.tools ? TRISTATE_YES : TRISTATE_NO;
	}
	entry->model.context_length = ollama_context_length(
		(struct str){description.architecture, description.architecture_bytes}, body);
	return 0;
}

static void note_status(void *context, size_t path_index UNUSED, struct json_value value)
{
	bool *is_ok = context;

	*is_ok = str_eq(value.text, STR_LITERAL("\"ok\""));
}

bool model_list_is_ok(struct str body)
{
	static const struct json_path path = {{"status"}};
	bool is_ok = false;
	struct jsonscan scan = {
		.paths = &path, .n_paths = 1, .found = note_status, .context = &is_ok};

	return jsonscan_run(&scan, body) == JSON_OK && is_ok;
}

int model_list_copy(const struct model_list *list, struct backend_model **ret_models)
{
	struct backend_model *models = calloc(list->n + 1, sizeof(*models));

	if (!models)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		models[i] = list->entries[i].model;
		models[i].id = str_dup(str_of(list->entries[i].model.id));
		if (!models[i].id) {
			backend_models_free(models, i);
			return -ENOMEM;
		}
	}
	*ret_models = models;
	return 0;
}
