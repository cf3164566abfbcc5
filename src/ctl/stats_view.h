/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of /v1/stats, for stats and for top. */
#pragma once

#include "ctl/document.h"

/* Two documents and the seconds between them show rates; `before` NULL: counts since the start. */
struct stats_view {
	struct json_object *now, *before;
	double seconds;
};

/* Fill a new table; the caller ends it with table_done(). */
void stats_view_backends(const struct stats_view *view, struct table *table);
void stats_view_models(const struct stats_view *view, struct table *table);
/* By how much a number of an object has grown; all of it without the object before. */
double stats_view_grown(struct json_object *object, struct json_object *before, const char *path);
