/* SPDX-License-Identifier: Apache-2.0 */
/* What the admin face asks of the main thread: the status of the process, a reload. And the log
 * level, which any thread may set. */
#include <errno.h>
#include <stdlib.h>

#include "api/api_state.h"
#include "api/control.h"
#include "base/jsonx.h"
#include "base/log.h"

#define BODY_MAX_BYTES 4096

static void reply_answer(struct request *request, struct control_call *call)
{
	size_t length;

	switch (call->result) {
	case 0:
		request_document(request, 200, "application/json", &call->reply, 0);
		break;
	case -EINVAL: {
		char *message = buf_take(&call->reply, &length);

		request_problem(request, PROBLEM_BAD_CONFIGURATION, message, NULL, NULL);
		free(message);
		break;
	}
	case -ESHUTDOWN:
		request_problem(request, PROBLEM_SHUTTING_DOWN, NULL, NULL, NULL);
		break;
	default:
		request_problem(request, PROBLEM_OVERLOADED, NULL, NULL, NULL);
	}
}

static void answered(void *context)
{
	struct request *request = context;

	request->waiter = NULL;
	reply_answer(request, request->call);
}

static void ask(struct request *request, enum control_verb verb)
{
	const struct api_inputs *in = &request->api->in;

	request->call = control_call_new(verb);
	if (request->call)
		request->waiter = waiter_new(in->mailbox, answered, request);
	if (request->waiter)
		control_ask(in->control, request->call, request->waiter);
	else
		request_problem(request, PROBLEM_OVERLOADED, NULL, NULL, NULL);
}

void api_admin_status(struct request *request)
{
	ask(request, CONTROL_STATUS);
}

void api_admin_reload(struct request *request)
{
	ask(request, CONTROL_RELOAD);
}

void api_admin_log_level(struct request *request)
{
	enum log_level level = LOG_LEVEL_DEBUG;
	struct buf body;
	struct jsonw w;

	while (level > LOG_LEVEL_ERROR && !log_is_enabled(level))
		level--;
	buf_init(&body, 256);
	jsonw_begin(&w, &body);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "level", str_of(log_level_name(level)));
	jsonw_object_end(&w);
	request_document(request, 200, "application/json", &body, w.error);
}

static int read_level(struct str body, enum log_level *ret_level)
{
	struct json_object *document = body.n <= BODY_MAX_BYTES ? jsonx_parse(body) : NULL;
	struct str text = jsonx_string(jsonx_get(document, "level"));
	int r = text.p ? log_level_parse(text.p, ret_level) : -EINVAL;

	jsonx_free(document);
	return r;
}

void api_admin_set_log_level(struct request *request)
{
	enum log_level level;

	if (read_level(buf_str(&request->exchange->body), &level) < 0) {
		request_problem(
			request, PROBLEM_INVALID_FIELD,
			"The body must be {\"level\": \"...\"}, with error, warning, notice, "
			"info or debug.",
			"level", NULL);
		return;
	}
	log_set_level(level);
	log_notice("the log level is %s until the next reload", log_level_name(level));
	api_admin_log_level(request);
}
