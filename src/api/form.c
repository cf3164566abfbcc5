/* SPDX-License-Identifier: Apache-2.0 */
#include "api/form.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/multipart.h"

static void say(struct model_request_error *error, enum multipart_error what, uint64_t offset)
{
	bool in_field = what == MULTIPART_TWICE || what == MULTIPART_NOT_PLAIN ||
			what == MULTIPART_TOO_LONG;

	*error = (struct model_request_error){
		.problem = in_field ? PROBLEM_INVALID_FIELD : PROBLEM_INVALID_FORM,
		.param = in_field ? "model" : NULL,
	};
	if (what == MULTIPART_NO_MEMORY)
		error->problem = PROBLEM_OVERLOADED;
	snprintf(error->message, sizeof(error->message),
		 "The request body is not a form that can be routed: %s at byte %llu.",
		 multipart_error_text(what), (unsigned long long)offset);
}

void form_begin(struct request *request, struct str content_type)
{
	struct model_request_error error;
	enum multipart_error wrong = MULTIPART_NO_MEMORY;

	request->form = calloc(1, sizeof(*request->form));
	if (request->form)
		wrong = multipart_init(request->form, content_type, "model", MODEL_NAME_MAX);
	if (wrong == MULTIPART_OK)
		return;
	say(&error, wrong, 0);
	request_problem(request, error.problem, error.message, error.param, NULL);
}

int form_parse(struct request *request, struct model_request_error *ret_error)
{
	struct multipart *form = request->form;
	struct str text = buf_str(&request->exchange->body);
	enum multipart_error wrong = multipart_feed(form, text);

	if (wrong == MULTIPART_OK)
		wrong = multipart_end(form);
	if (wrong != MULTIPART_OK) {
		say(ret_error, wrong, form->offset);
		return -EINVAL;
	}
	return model_request_take_form(&request->wanted, text, form, ret_error);
}

void form_end(struct request *request)
{
	if (!request->form)
		return;
	multipart_done(request->form);
	free(request->form);
	request->form = NULL;
}
