/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The errors nexusd answers with, in OpenAI's envelope. The rows are in problem.def; nothing
 * else in the tree writes an error body.
 */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"

/* The values of nexus_errors_total{error_type}. A row enters with the first problem that needs it.
 */
#define ERROR_TYPES(X)                                \
	X(TIMEOUT, "timeout")                         \
	X(BACKEND_ERROR, "backend_error")             \
	X(NO_BACKEND, "no_backend")                   \
	X(NO_HEALTHY_BACKEND, "no_healthy_backend")   \
	X(PARSE_ERROR, "parse_error")                 \
	X(MODEL_NOT_FOUND, "model_not_found")         \
	X(CAPABILITY_MISMATCH, "capability_mismatch") \
	X(FALLBACK_EXHAUSTED, "fallback_exhausted")   \
	X(QUEUE, "queue")                             \
	X(RATE_LIMITED, "rate_limited")               \
	X(BAD_REQUEST, "bad_request")                 \
	X(PAYLOAD_TOO_LARGE, "payload_too_large")     \
	X(CLIENT_DISCONNECT, "client_disconnect")     \
	X(OTHER, "other")

enum error_type {
#define X(id, name) ERROR_TYPE_##id,
	ERROR_TYPES(X)
#undef X
		N_ERROR_TYPES,
	ERROR_TYPE_NONE = N_ERROR_TYPES
};

const char *error_type_name(enum error_type type);

enum problem {
#define PROBLEM(id, status, type, code, error_type, flags, message) PROBLEM_##id,
#include "base/problem.def"
#undef PROBLEM
	N_PROBLEMS,
	PROBLEM_NONE = N_PROBLEMS
};

enum problem_flags { PROBLEM_FLAG_NONE = 0, PROBLEM_FLAG_RETRY = 1, PROBLEM_FLAG_CLOSE = 2 };

struct problem_row {
	unsigned status;
	const char *type, *code;
	enum error_type error_type;
	unsigned flags;
	const char *message;
};

const struct problem_row *problem_row(enum problem problem);

/* Appends {"error":{"message","type","param","code"}}. `message` NULL takes the row's; `param` NULL
 * writes null; `context` is JSON text put in as "context", or NULL. */
int problem_write(struct buf *out, enum problem problem, const char *message, const char *param,
		  const struct buf *context) MUST_CHECK;
/* The same as the data of an event: {"type":"error","code","message","param","error":{...}}. */
int problem_write_event(struct buf *out, enum problem problem) MUST_CHECK;
