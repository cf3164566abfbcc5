/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nexusd reads of a request's body, and the two changes it may make to it: the model's name
 * and stream_options.include_usage. Every other byte is the client's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/jsonscan.h"
#include "base/problem.h"

#define MODEL_NAME_MAX 256

struct multipart;

struct model_request {
	struct str text;                    /* the body; the values below point into it */
	size_t model_at, model_value_bytes; /* where its value stands, quotes included */
	char model[MODEL_NAME_MAX + 1];
	size_t model_bytes;
	bool is_form; /* not JSON: the value has no quotes */
	bool stream;
	bool asked_usage; /* the client set stream_options.include_usage itself */
	bool has_stream_options, has_include_usage;
	struct json_value stream_options, include_usage;
	unsigned needs;      /* enum route_need */
	uint64_t text_bytes; /* of prompts and messages */
};

struct model_request_error {
	enum problem problem;
	const char *param; /* or NULL */
	char message[192];
};

/* 0, or -EINVAL with *ret_error filled. `text` is borrowed as long as `wanted` is used. */
int model_request_parse(struct model_request *wanted, struct str text,
			struct model_request_error *ret_error) MUST_CHECK;

/* The same of a body that is a form and was scanned for its model. */
int model_request_take_form(struct model_request *wanted, struct str text,
			    const struct multipart *form,
			    struct model_request_error *ret_error) MUST_CHECK;

/* Appends the body to send: with another model when `model` is not NULL, and asking for usage when
 * `ask_usage`. -ENOMEM. */
int model_request_rewrite(const struct model_request *wanted, const char *model, bool ask_usage,
			  struct buf *out) MUST_CHECK;
