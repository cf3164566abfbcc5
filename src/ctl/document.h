/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the documents that nexusd answers with, and showing their values. */
#pragma once

#include "base/attr.h"
#include "base/jsonx.h"
#include "ctl/ctl.h"
#include "ctl/gateway.h"
#include "ctl/table.h"

/* --json: writes it, indented; the exit status. */
int document_print(struct json_object *document);

/* What is asked of nexusd, and how the answer is written for people. */
struct question {
	struct gateway_request request;
	/* Appends it to `out`; 0, or -errno of `out`. */
	int (*write)(const struct ctl *ctl, struct json_object *document, const void *context,
		     struct buf *out);
	const void *context;
};

/* Asks, and shows the answer; with --json as it came. The exit status. */
int document_show(const struct ctl *ctl, const struct question *question);

/* A member of an object, or of one of its objects: "backends.healthy". NULL when absent. */
struct json_object *document_get(struct json_object *object, const char *path);
/* 0 and {NULL, 0} when absent or of another kind. */
uint64_t document_u64(struct json_object *object, const char *path);
double document_number(struct json_object *object, const char *path);
struct str document_text(struct json_object *object, const char *path);

/* Cells: a dash stands for what is not there. */
void document_cell_text(struct table *table, struct json_object *object, const char *path);
void document_cell_u64(struct table *table, struct json_object *object, const char *path);
/* Milliseconds, as "1.5 ms" or "12.0 s". */
void document_cell_msec(struct table *table, struct json_object *object, const char *path);
/* The words of an array with blanks between them. */
void document_cell_list(struct table *table, struct json_object *array);
/* A backend's status in its color; of a healthy one that is left alone for how long yet. */
void document_cell_status(struct table *table, struct json_object *backend);
