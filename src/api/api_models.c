/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/models and /v1/models/{id}. */
#include <errno.h>

#include "api/api_state.h"
#include "api/request.h"
#include "api/router.h"
#include "base/jsonx.h"

static void write_capability(struct jsonw *w, const struct route_model *model, const char *name,
			     size_t offset)
{
	/* One backend that can do it is enough: requests that need it go there. */
	for (size_t i = 0; i < model->n_candidates; i++) {
		const char *base = (const char *)model->candidates[i].model;

		if (*(const enum tristate *)(const void *)(base + offset) == TRISTATE_YES) {
			jsonw_string(w, NULL, str_of(name));
			return;
		}
	}
}

static void write_entry(struct jsonw *w, const char *id, const struct route_model *model,
			const char *alias_of)
{
	uint64_t context_length = 0;

	jsonw_object(w, NULL);
	jsonw_string(w, "id", str_of(id));
	jsonw_string(w, "object", STR_LITERAL("model"));
	jsonw_u64(w, "created", model->state->first_seen_seconds);
	jsonw_string(w, "owned_by", STR_LITERAL("nexus"));
	if (alias_of)
		jsonw_string(w, "alias_of", str_of(alias_of));
	for (size_t i = 0; i < model->n_candidates; i++)
		if (model->candidates[i].model->context_length > context_length)
			context_length = model->candidates[i].model->context_length;
	if (context_length)
		jsonw_u64(w, "context_length", context_length);
	jsonw_array(w, "capabilities");
	write_capability(w, model, "vision", offsetof(struct backend_model, vision));
	write_capability(w, model, "tools", offsetof(struct backend_model, tools));
	write_capability(w, model, "json_mode", offsetof(struct backend_model, json_mode));
	jsonw_array_end(w);
	jsonw_array(w, "backends");
	for (size_t i = 0; i < model->n_candidates; i++)
		jsonw_string(w, NULL, str_of(model->candidates[i].backend->name));
	jsonw_array_end(w);
	jsonw_object_end(w);
}

static int write_list(const struct route_table *table, struct buf *body)
{
	size_t m = 0, a = 0;
	struct jsonw w;

	jsonw_begin(&w, body);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "object", STR_LITERAL("list"));
	jsonw_array(&w, "data");
	/* Both are sorted; their merge is the list sorted by id. An alias hides a model of its
	 * name. */
	while (m < table->n_models || a < table->n_aliases) {
		const struct route_alias *alias = a < table->n_aliases ? &table->aliases[a] : NULL;
		const struct route_model *model = m < table->n_models ? &table->models[m] : NULL;

		if (alias && (!model || strcmp(alias->name, model->id) <= 0)) {
			write_entry(&w, alias->name, alias->model, alias->model->id);
			a++;
			m += model && strcmp(alias->name, model->id) == 0;
		} else {
			write_entry(&w, model->id, model, NULL);
			m++;
		}
	}
	jsonw_array_end(&w);
	jsonw_object_end(&w);
	return w.error;
}

void api_models_list(struct request *request)
{
	struct buf *body = &request->use->models;

	/* It may be megabytes, and says the same as long as the table is in force: all readers have
	 * one. */
	if (body->len == 0) {
		buf_init(body, 64u << 20);
		if (write_list(request->table, body) < 0) {
			buf_done(body);
			request_problem(request, PROBLEM_OVERLOADED, NULL, NULL, NULL);
			return;
		}
	}
	request_shared_document(request, "application/json", body);
}

void api_models_one(struct request *request)
{
	const struct route_model *model = NULL;
	char id[MODEL_NAME_MAX + 1];
	struct buf body;
	struct jsonw w;
	size_t n;

	if (str_percent_decode(request->argument, id, MODEL_NAME_MAX, &n) == 0) {
		id[n] = '\0'; /* the guard has refused %00 */
		model = route_table_find(request->table, str_of(id));
	}
	if (!model) {
		request_problem(request, PROBLEM_MODEL_NOT_FOUND, NULL, "model", NULL);
		return;
	}
	buf_init(&body, 1u << 20);
	jsonw_begin(&w, &body);
	write_entry(&w, id, model, strcmp(id, model->id) == 0 ? NULL : model->id);
	request_document(request, 200, "application/json", &body, w.error);
}
