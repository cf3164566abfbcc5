/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request whose body is multipart/form-data: its model is a field there. A body that fits into
 * the window is collected like any other; of a larger one whose model is known by then the rest is
 * handed on while it comes.
 */
#pragma once

#include "api/request.h"

/* Makes request->form of the header; replies when that is wrong. */
void form_begin(struct request *request, struct str content_type);
/* A piece of the body has come. May reply, or send the request on. */
void form_received(struct request *request, struct str piece);
/* All of the body has come. True: request->wanted is filled; false: the request was sent on before,
 * or replied to. */
bool form_complete(struct request *request) MUST_CHECK;
/* Frees request->form. */
void form_end(struct request *request);
