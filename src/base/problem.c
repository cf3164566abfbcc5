/* SPDX-License-Identifier: Apache-2.0 */
#include "base/problem.h"

#include <assert.h>

#include "base/jsonx.h"

static const struct problem_row rows[] = {
#define NONE  PROBLEM_FLAG_NONE
#define RETRY PROBLEM_FLAG_RETRY
#define CLOSE PROBLEM_FLAG_CLOSE
#define PROBLEM(id, status, type, code, error_type, flags, message) \
	[PROBLEM_##id] = {status, type, code, ERROR_TYPE_##error_type, flags, message},
#include "base/problem.def"
#undef PROBLEM
#undef NONE
#undef RETRY
#undef CLOSE
};

const char *error_type_name(enum error_type type)
{
	static const char *const names[] = {
#define X(id, name) name,
		ERROR_TYPES(X)
#undef X
	};

	assert(type < N_ERROR_TYPES);
	return names[type];
}

const struct problem_row *problem_row(enum problem problem)
{
	assert(problem < N_PROBLEMS);
	return &rows[problem];
}

static void write_error(struct jsonw *w, const struct problem_row *row, const char *message,
			const char *param, const struct buf *context)
{
	jsonw_object(w, "error");
	jsonw_string(w, "message", str_of(message ? message : row->message));
	jsonw_string(w, "type", str_of(row->type));
	jsonw_string(w, "param", str_of(param));
	jsonw_string(w, "code", str_of(row->code));
	if (context)
		jsonw_raw(w, "context", buf_str(context));
	jsonw_object_end(w);
}

int problem_write(struct buf *out, enum problem problem, const char *message, const char *param,
		  const struct buf *context)
{
	struct jsonw w;

	jsonw_begin(&w, out);
	jsonw_object(&w, NULL);
	write_error(&w, problem_row(problem), message, param, context);
	jsonw_object_end(&w);
	return w.error;
}

int problem_write_event(struct buf *out, enum problem problem)
{
	const struct problem_row *row = problem_row(problem);
	struct jsonw w;

	jsonw_begin(&w, out);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "type", STR_LITERAL("error"));
	jsonw_string(&w, "code", str_of(row->code));
	jsonw_string(&w, "message", str_of(row->message));
	jsonw_string(&w, "param", str_of(NULL));
	write_error(&w, row, NULL, NULL, NULL);
	jsonw_object_end(&w);
	return w.error;
}
