/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the demo backend, and reading its JSON. */
#pragma once

#include "base/jsonx.h"
#include "transfer_run.h"

static inline void post(struct run *run, struct loop *loop, struct client *client, const char *path,
			struct str body)
{
	run_init(run, loop, client, NULL);
	run->target = (struct target){.transport = TARGET_DEMO, .url = "demo:"};
	run->request.method = "POST";
	run->request.path = path;
	run->request.body = body;
	run_start(run);
}

static inline struct json_object *answer_of(const struct run *run)
{
	return jsonx_parse(buf_str(&run->body));
}

/* "choices.0.message.content": members and indexes by dots. */
static inline struct json_object *at(struct json_object *object, const char *path)
{
	struct str rest = str_of(path);

	while (rest.p) {
		struct str step = str_split(&rest, '.');
		char name[64];
		uint64_t index;

		snprintf(name, sizeof(name), "%.*s", (int)step.n, step.p);
		object = str_to_u64(step, &index) == 0 ? jsonx_at(object, (size_t)index)
						       : jsonx_get(object, name);
	}
	return object;
}

static inline const char *text_at(struct json_object *object, const char *path)
{
	static char text[8192];
	struct str s = jsonx_string(at(object, path));

	if (!s.p || s.n >= sizeof(text))
		return "(none)";
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return text;
}

static inline uint64_t number_at(struct json_object *object, const char *path)
{
	uint64_t number = UINT64_MAX;

	return jsonx_u64(at(object, path), &number) < 0 ? UINT64_MAX : number;
}
