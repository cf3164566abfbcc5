/* SPDX-License-Identifier: Apache-2.0 */
#include "health/model_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/grammar.h"
#include "base/jsonscan.h"
#include "base/jsonx.h"

#define DIGEST_MAX_BYTES 128

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

struct member {
	enum json_value_type type;
	bool is_there;
};

static void note_member(void *context, size_t path_index, struct json_value value)
{
	struct member *member = context;

	(void)path_index;
	*member = (struct member){value.type, true};
}

/* jsonx shows what is no array as an empty one; a list must be one, so that the answer of some
 * other server is not taken for "no models". */
static bool has_list(struct str body, const char *name, bool may_be_null)
{
	const struct json_path path = {{name, NULL}};
	struct member member = {.is_there = false};
	struct jsonscan scan = {
		.paths = &path,
		.n_paths = 1,
		.found = note_member,
		.context = &member,
		.judges_names = true,
	};

	if (jsonscan_run(&scan, body) != JSON_OK || !member.is_there)
		return false;
	return member.type == JSON_ARRAY || (may_be_null && member.type == JSON_NULL);
}

/* vLLM, OpenRouter and llama.cpp each say it in their own way. */
static uint64_t context_length_of(struct json_object *item)
{
	struct json_object *const values[] = {
		jsonx_get(item, "max_model_len"),
		jsonx_get(item, "context_length"),
		jsonx_get(jsonx_get(item, "meta"), "n_ctx_train"),
	};
	uint64_t tokens = 0;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (jsonx_u64(values[i], &tokens) == 0 && tokens > 0)
			return tokens;
	return 0;
}

/* 0 also when the item is left out. */
static int add_item(struct model_list *list, bool is_ollama, struct json_object *item)
{
	struct str id = jsonx_string(jsonx_get(item, is_ollama ? "name" : "id"));
	struct str digest = jsonx_string(jsonx_get(item, "digest"));
	struct listed_model entry = {.described = !is_ollama};

	if (!is_routable(id))
		return 0;
	entry.model.id = str_dup(id);
	if (!entry.model.id)
		return -ENOMEM;
	if (is_ollama && digest.n > 0 && digest.n <= DIGEST_MAX_BYTES) {
		entry.digest = str_dup(digest);
		if (!entry.digest) {
			entry_done(&entry);
			return -ENOMEM;
		}
	}
	if (!is_ollama)
		entry.model.context_length = context_length_of(item);
	list->entries[list->n++] = entry;
	return 0;
}

static int compare_entries(const void *left, const void *right)
{
	const struct listed_model *a = left, *b = right;

	return strcmp(a->model.id, b->model.id);
}

static void sort(struct model_list *list)
{
	size_t kept = 0;

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
	struct model_list fresh = {0};
	struct json_object *root, *items;
	size_t n;
	int r = -ENOMEM;

	/* Older Ollamas say null when they have no model. */
	root = has_list(body, name, is_ollama) ? jsonx_parse(body) : NULL;
	if (!root)
		return -EBADMSG;
	items = jsonx_get(root, name);
	n = jsonx_length(items);
	if (n > MODEL_LIST_MAX)
		n = MODEL_LIST_MAX;
	fresh.entries = calloc(n + 1, sizeof(*fresh.entries));
	if (!fresh.entries)
		goto fail;
	for (size_t i = 0; i < n; i++) {
		r = add_item(&fresh, is_ollama, jsonx_at(items, i));
		if (r < 0)
			goto fail;
	}
	jsonx_free(root);
	sort(&fresh);
	keep_descriptions(&fresh, list);
	model_list_done(list);
	*list = fresh;
	return 0;
fail:
	model_list_done(&fresh);
	jsonx_free(root);
	return r;
}

static enum tristate has_word(struct json_object *words, const char *word)
{
	for (size_t i = 0; i < jsonx_length(words); i++)
		if (str_eq(jsonx_string(jsonx_at(words, i)), str_of(word)))
			return TRISTATE_YES;
	return TRISTATE_NO;
}

/* "<architecture>.context_length"; a model of several parts has one for each. */
static uint64_t ollama_context_length(struct json_object *info)
{
	static const struct str suffix = {".context_length", sizeof(".context_length") - 1};
	struct str architecture = jsonx_string(jsonx_get(info, "general.architecture"));
	struct json_object *value;
	const char *name;
	void *cursor = NULL;
	uint64_t tokens = 0;

	while (jsonx_next_member(info, &cursor, &name, &value)) {
		struct str key = str_of(name);
		struct str tail;

		if (key.n <= suffix.n)
			continue;
		tail = (struct str){key.p + key.n - suffix.n, suffix.n};
		key.n -= suffix.n;
		if (!str_eq(tail, suffix) || (architecture.n > 0 && !str_eq(key, architecture)))
			continue;
		if (jsonx_u64(value, &tokens) == 0 && tokens > 0)
			return tokens;
	}
	return 0;
}

int model_list_describe(struct listed_model *entry, struct str body)
{
	struct json_object *root = jsonx_parse(body);
	struct json_object *capabilities = jsonx_get(root, "capabilities");

	if (!root)
		return -EBADMSG;
	/* Older Ollamas tell none; an empty list says no more than that. */
	if (jsonx_length(capabilities) > 0) {
		entry->model.vision = has_word(capabilities, "vision");
		entry->model.tools = has_word(capabilities, "tools");
	}
	entry->model.context_length = ollama_context_length(jsonx_get(root, "model_info"));
	jsonx_free(root);
	return 0;
}

bool model_list_is_ok(struct str body)
{
	struct json_object *root = jsonx_parse(body);
	bool is_ok = str_eq(jsonx_string(jsonx_get(root, "status")), STR_LITERAL("ok"));

	jsonx_free(root);
	return is_ok;
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
