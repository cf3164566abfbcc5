/* SPDX-License-Identifier: Apache-2.0 */
#include "api/model_request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/grammar.h"
#include "base/jsonx.h"
#include "base/multipart.h"
#include "route/attempts.h"

enum {
	PATH_MODEL,
	PATH_STREAM,
	PATH_STREAM_OPTIONS,
	PATH_INCLUDE_USAGE,
	PATH_TOOLS_ELEMENT,
	PATH_RESPONSE_FORMAT,
	PATH_PART_TYPE,
	PATH_PART_TEXT,
	PATH_CONTENT,
	PATH_PROMPT,
	/* of responses */
	PATH_TEXT_FORMAT,
	PATH_INPUT_TYPE,
	PATH_INPUT_TEXT,
	PATH_INPUT_CONTENT,
	PATH_INSTRUCTIONS,
};

static const struct json_path paths[] = {
	[PATH_MODEL] = {{"model"}},
	[PATH_STREAM] = {{"stream"}},
	[PATH_STREAM_OPTIONS] = {{"stream_options"}},
	[PATH_INCLUDE_USAGE] = {{"stream_options", "include_usage"}},
	[PATH_TOOLS_ELEMENT] = {{"tools", "[]"}},
	[PATH_RESPONSE_FORMAT] = {{"response_format", "type"}},
	[PATH_PART_TYPE] = {{"messages", "[]", "content", "[]", "type"}},
	[PATH_PART_TEXT] = {{"messages", "[]", "content", "[]", "text"}},
	[PATH_CONTENT] = {{"messages", "[]", "content"}},
	[PATH_PROMPT] = {{"prompt"}},
	[PATH_TEXT_FORMAT] = {{"text", "format", "type"}},
	[PATH_INPUT_TYPE] = {{"input", "[]", "content", "[]", "type"}},
	[PATH_INPUT_TEXT] = {{"input", "[]", "content", "[]", "text"}},
	[PATH_INPUT_CONTENT] = {{"input", "[]", "content"}},
	[PATH_INSTRUCTIONS] = {{"instructions"}},
};

struct parse {
	struct model_request *wanted;
	struct json_value model, stream; /* the last of each; text.p NULL when absent */
};

static bool is_string(struct json_value value, const char *text)
{
	size_t n = strlen(text);

	return value.type == JSON_STRING && value.text.n == n + 2 &&
	       memcmp(value.text.p + 1, text, n) == 0;
}

static void found(void *context, size_t path, struct json_value value)
{
	struct parse *parse = context;
	struct model_request *wanted = parse->wanted;

	switch (path) {
	case PATH_MODEL:
		parse->model = value;
		break;
	case PATH_STREAM:
		parse->stream = value;
		break;
	case PATH_STREAM_OPTIONS:
		wanted->has_stream_options = true;
		wanted->stream_options = value;
		break;
	case PATH_INCLUDE_USAGE:
		wanted->has_include_usage = true;
		wanted->include_usage = value;
		break;
	case PATH_TOOLS_ELEMENT:
		wanted->needs |= NEED_TOOLS;
		break;
	case PATH_RESPONSE_FORMAT:
	case PATH_TEXT_FORMAT:
		if (is_string(value, "json_object") || is_string(value, "json_schema"))
			wanted->needs |= NEED_JSON_MODE;
		break;
	case PATH_PART_TYPE:
	case PATH_INPUT_TYPE:
		if (is_string(value, "image_url") || is_string(value, "input_image"))
			wanted->needs |= NEED_VISION;
		break;
	case PATH_PART_TEXT:
	case PATH_CONTENT:
	case PATH_PROMPT:
	case PATH_INPUT_TEXT:
	case PATH_INPUT_CONTENT:
	case PATH_INSTRUCTIONS:
		if (value.type == JSON_STRING)
			wanted->text_bytes += value.text.n - 2;
		break;
	}
}

static int PRINTF_LIKE(4, 5) refuse(struct model_request_error *error, enum problem problem,
				    const char *param, const char *format, ...)
{
	va_list ap;

	error->problem = problem;
	error->param = param;
	va_start(ap, format);
	vsnprintf(error->message, sizeof(error->message), format, ap);
	va_end(ap);
	return -EINVAL;
}

static int refuse_missing(struct model_request_error *error)
{
	return refuse(error, PROBLEM_INVALID_FIELD, "model",
		      "The request has no \"model\"; name one of GET /v1/models.");
}

static int refuse_name(struct model_request_error *error)
{
	return refuse(error, PROBLEM_INVALID_FIELD, "model",
		      "\"model\" must have 1 to %d bytes and no control characters.",
		      MODEL_NAME_MAX);
}

/* Of the name in wanted->model, whose value stands `at` so many bytes into the body. */
static int take_name(struct model_request *wanted, size_t at, size_t value_bytes,
		     struct model_request_error *error)
{
	struct str name = {wanted->model, wanted->model_bytes};

	if (name.n == 0 || grammar_has_control(name))
		return refuse_name(error);
	wanted->model[name.n] = '\0';
	wanted->model_at = at;
	wanted->model_value_bytes = value_bytes;
	return 0;
}

static size_t offset_of(const struct model_request *wanted, const char *p)
{
	return (size_t)(p - wanted->text.p);
}

static int take_model(struct model_request *wanted, struct json_value value,
		      struct model_request_error *error)
{
	if (!value.text.p)
		return refuse_missing(error);
	if (value.type != JSON_STRING)
		return refuse(error, PROBLEM_INVALID_FIELD, "model", "\"model\" must be a string.");
	if (json_string_decode(value, wanted->model, MODEL_NAME_MAX, &wanted->model_bytes) < 0)
		return refuse_name(error);
	return take_name(wanted, offset_of(wanted, value.text.p), value.text.n, error);
}

static int take_stream(struct model_request *wanted, struct json_value value,
		       struct model_request_error *error)
{
	if (value.text.p && value.type != JSON_TRUE && value.type != JSON_FALSE &&
	    value.type != JSON_NULL)
		return refuse(error, PROBLEM_INVALID_FIELD, "stream",
			      "\"stream\" must be true or false.");
	wanted->stream = value.text.p && value.type == JSON_TRUE;
	if (wanted->has_stream_options && wanted->stream_options.type != JSON_OBJECT &&
	    wanted->stream_options.type != JSON_NULL)
		return refuse(error, PROBLEM_INVALID_FIELD, "stream_options",
			      "\"stream_options\" must be an object.");
	wanted->asked_usage = wanted->has_include_usage && wanted->include_usage.type == JSON_TRUE;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Of text that was accepted as a document. */
static bool is_object(struct str text)
{
	while (is_blank(text.p[0]))
		text.p++;
	return text.p[0] == '{';
}

static int refuse_json(struct model_request_error *error, enum json_error why,
		       const struct jsonscan *scan)
{
	static const struct {
		const char *what, *advice;
	} names[] = {
		[JSON_DUPLICATE_NAME] = {"comes twice, the second time", "send it once"},
		[JSON_NUL_IN_NAME] = {"has U+0000 in its name", "send it without"},
		[JSON_NAME_IN_CASE] = {"comes in another case", "write it as it is here"},
	};
	const char *name;

	if (why >= ARRAY_SIZE(names) || !names[why].what)
		return refuse(error, PROBLEM_INVALID_JSON, NULL,
			      "The request body is not valid JSON: %s at byte %zu.",
			      json_error_text(why), scan->error_offset);
	name = paths[scan->error_path].segments[0];
	return refuse(error, PROBLEM_INVALID_FIELD, name, "\"%s\" %s at byte %zu; %s.", name,
		      names[why].what, scan->error_offset, names[why].advice);
}

int model_request_parse(struct model_request *wanted, struct str text,
			struct model_request_error *ret_error)
{
	struct parse parse = {.wanted = wanted};
	struct jsonscan scan = {
		.paths = paths,
		.n_paths = ARRAY_SIZE(paths),
		.found = found,
		.context = &parse,
		.judges_names = true,
	};
	enum json_error error;
	int r;

	*wanted = (struct model_request){.text = text};
	error = jsonscan_run(&scan, text);
	if (error != JSON_OK)
		return refuse_json(ret_error, error, &scan);
	if (!is_object(text))
		return refuse(ret_error, PROBLEM_INVALID_JSON, NULL,
			      "The request body must be a JSON object.");
	r = take_model(wanted, parse.model, ret_error);
	return r < 0 ? r : take_stream(wanted, parse.stream, ret_error);
}

int model_request_take_form(struct model_request *wanted, struct str text,
			    const struct multipart *form, struct model_request_error *ret_error)
{
	struct str name = buf_str(&form->value);

	*wanted = (struct model_request){.text = text, .is_form = true};
	if (!form->found)
		return refuse_missing(ret_error);
	if (name.n > MODEL_NAME_MAX || !utf8_is_valid(name))
		return refuse_name(ret_error);
	if (name.n > 0)
		memcpy(wanted->model, name.p, name.n);
	wanted->model_bytes = name.n;
	return take_name(wanted, (size_t)form->value_offset, name.n, ret_error);
}

/* One replacement in the body: `removed` bytes at `offset` give way to `inserted`. */
struct edit {
	size_t offset, removed;
	struct str inserted;
};

static struct edit edit_usage(const struct model_request *wanted)
{
	struct str options = wanted->stream_options.text;
	size_t end = wanted->text.n;

	if (!wanted->has_stream_options) {
		/* Before the brace that closes the document; something, "model", stands before it.
		 */
		while (wanted->text.p[end - 1] != '}')
			end--;
		return (struct edit){end - 1, 0,
				     STR_LITERAL(",\"stream_options\":{\"include_usage\":true}")};
	}
	if (wanted->stream_options.type == JSON_NULL)
		return (struct edit){offset_of(wanted, options.p), options.n,
				     STR_LITERAL("{\"include_usage\":true}")};
	if (wanted->has_include_usage)
		return (struct edit){offset_of(wanted, wanted->include_usage.text.p),
				     wanted->include_usage.text.n, STR_LITERAL("true")};
	for (size_t i = 1; i < options.n; i++)
		if (!is_blank(options.p[i]))
			return (struct edit){offset_of(wanted, options.p + 1), 0,
					     options.p[i] == '}'
						     ? STR_LITERAL("\"include_usage\":true")
						     : STR_LITERAL("\"include_usage\":true,")};
	return (struct edit){0};
}

static int apply(const struct model_request *wanted, const struct edit *edits, size_t n_edits,
		 struct buf *out)
{
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; i < n_edits && r == 0; i++) {
		r = buf_append(out, wanted->text.p + at, edits[i].offset - at);
		if (r == 0)
			r = buf_append_str(out, edits[i].inserted);
		at = edits[i].offset + edits[i].removed;
	}
	return r < 0 ? r : buf_append(out, wanted->text.p + at, wanted->text.n - at);
}

static int write_model(const struct model_request *wanted, const char *model, struct buf *out)
{
	struct jsonw w;

	if (wanted->is_form)
		return buf_append_str(out, str_of(model));
	jsonw_begin(&w, out);
	jsonw_string(&w, NULL, str_of(model));
	return w.error;
}

int model_request_rewrite(const struct model_request *wanted, const char *model, bool ask_usage,
			  struct buf *out)
{
	struct edit edits[2];
	size_t n = 0;
	struct buf name;
	int r = 0;

	buf_init(&name, 8 * MODEL_NAME_MAX);
	if (model) {
		r = write_model(wanted, model, &name);
		edits[n++] =
			(struct edit){wanted->model_at, wanted->model_value_bytes, buf_str(&name)};
	}
	if (ask_usage)
		edits[n++] = edit_usage(wanted);
	if (n == 2 && edits[0].offset > edits[1].offset) {
		struct edit first = edits[1];

		edits[1] = edits[0];
		edits[0] = first;
	}
	if (r == 0)
		r = apply(wanted, edits, n, out);
	buf_done(&name);
	return r;
}
