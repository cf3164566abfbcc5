/* SPDX-License-Identifier: Apache-2.0 */
/* A request whose body is multipart/form-data: its model is a field there. */
#pragma once

#include "api/request.h"

/* Makes request->form of the header; replies when that is wrong. */
void form_begin(struct request *request, struct str content_type);
/* Fills request->wanted from the whole body. 0, or -EINVAL with *ret_error filled. */
int form_parse(struct request *request, struct model_request_error *ret_error) MUST_CHECK;
/* Frees request->form. */
void form_end(struct request *request);
