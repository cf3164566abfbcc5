/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What backends answer about themselves and their models, read with bounds: a peer's list is cut at
 * MODEL_LIST_MAX, names that nexusd could not route by are left out. Only what is kept takes
 * memory, whatever else stands in an answer. No I/O here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "backend/backend.h"
#include "base/attr.h"
#include "base/str.h"
#include "config/config.h"

#define MODEL_LIST_MAX_BYTES (4u << 20) /* of an answer */
#define MODEL_LIST_MAX       10000      /* models of a backend */
#define MODEL_ID_MAX_BYTES   256

struct listed_model {
	struct backend_model model;
	char *digest;   /* changes with the model's content; NULL when the backend tells none */
	bool described; /* asked for its details already (Ollama) */
};

/* Zero-initialised it is empty. */
struct model_list {
	struct listed_model *entries; /* sorted by id, no id twice */
	size_t n;
};

void model_list_done(struct model_list *list);

/* Replaces the list by what the answer to GET /api/tags (Ollama's documentation, "List Local
 * Models") or GET /v1/models says; details of models that have not changed are kept. -EBADMSG when
 * the answer is no list, -ENOMEM; the old list stays then. */
int model_list_read(struct model_list *list, enum backend_type type, struct str body) MUST_CHECK;
/* The answer to POST /api/show (Ollama's documentation, "Show Model Information"). -EBADMSG. */
int model_list_describe(struct listed_model *entry, struct str body) MUST_CHECK;
/* The answer to llama.cpp's GET /health. */
bool model_list_is_ok(struct str body);
/* A copy for backend_set_models(). -ENOMEM. */
int model_list_copy(const struct model_list *list, struct backend_model **ret_models) MUST_CHECK;
