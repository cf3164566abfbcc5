/* SPDX-License-Identifier: Apache-2.0 */
#include "base/problem.h"

#include "tap.h"

/* What clients depend on; a row of problem.def that changes must change here, too. */
static const struct {
	enum problem problem;
	unsigned status;
	const char *type, *code, *error_type;
	unsigned flags;
} rows[] = {
#define INVALID "invalid_request_error"
#define SERVER  "server_error"
#define RETRY   PROBLEM_FLAG_RETRY
#define CLOSE   PROBLEM_FLAG_CLOSE
	{PROBLEM_BAD_FRAMING, 400, INVALID, "bad_framing", "bad_request", CLOSE},
	{PROBLEM_INVALID_JSON, 400, INVALID, "invalid_json", "bad_request", 0},
	{PROBLEM_INVALID_FORM, 400, INVALID, "invalid_form", "bad_request", 0},
	{PROBLEM_INVALID_FIELD, 400, INVALID, "invalid_field", "bad_request", 0},
	{PROBLEM_CAPABILITY_MISMATCH, 400, INVALID, "capability_mismatch", "capability_mismatch",
	 0},
	{PROBLEM_MODEL_NOT_FOUND, 404, INVALID, "model_not_found", "model_not_found", 0},
	{PROBLEM_BACKEND_NOT_FOUND, 404, INVALID, "backend_not_found", "other", 0},
	{PROBLEM_NOT_FOUND, 404, INVALID, "not_found", "other", 0},
	{PROBLEM_METHOD_NOT_ALLOWED, 405, INVALID, "method_not_allowed", "other", 0},
	{PROBLEM_REQUEST_TIMEOUT, 408, INVALID, "request_timeout", "bad_request", CLOSE},
	{PROBLEM_BAD_CONFIGURATION, 409, INVALID, "bad_configuration", "other", 0},
	{PROBLEM_PAYLOAD_TOO_LARGE, 413, INVALID, "payload_too_large", "payload_too_large", CLOSE},
	{PROBLEM_URI_TOO_LONG, 414, INVALID, "uri_too_long", "payload_too_large", CLOSE},
	{PROBLEM_UNSUPPORTED_MEDIA_TYPE, 415, INVALID, "unsupported_media_type", "bad_request", 0},
	{PROBLEM_HEADERS_TOO_LARGE, 431, INVALID, "headers_too_large", "payload_too_large", CLOSE},
	{PROBLEM_UNSUPPORTED_TRANSFER_ENCODING, 501, INVALID, "unsupported_transfer_encoding",
	 "bad_request", CLOSE},
	{PROBLEM_BAD_GATEWAY, 502, SERVER, "bad_gateway", "backend_error", RETRY},
	{PROBLEM_PARSE_ERROR, 502, SERVER, "bad_gateway", "parse_error", RETRY},
	{PROBLEM_NO_BACKEND, 503, SERVER, "no_backend", "no_backend", RETRY},
	{PROBLEM_NO_HEALTHY_BACKEND, 503, SERVER, "no_healthy_backend", "no_healthy_backend",
	 RETRY},
	{PROBLEM_QUEUE_FULL, 503, SERVER, "queue_full", "queue", RETRY},
	{PROBLEM_QUEUE_TIMEOUT, 503, SERVER, "queue_timeout", "queue", RETRY},
	{PROBLEM_SHUTTING_DOWN, 503, SERVER, "shutting_down", "other", RETRY | CLOSE},
	{PROBLEM_OVERLOADED, 503, SERVER, "overloaded", "other", RETRY | CLOSE},
	{PROBLEM_GATEWAY_TIMEOUT, 504, SERVER, "gateway_timeout", "timeout", RETRY},
	{PROBLEM_FALLBACK_EXHAUSTED, 502, SERVER, "fallback_exhausted", "fallback_exhausted",
	 RETRY},
	{PROBLEM_FALLBACK_EXHAUSTED_UNAVAILABLE, 503, SERVER, "fallback_exhausted",
	 "fallback_exhausted", RETRY},
	{PROBLEM_FALLBACK_EXHAUSTED_TIMEOUT, 504, SERVER, "fallback_exhausted",
	 "fallback_exhausted", RETRY},
	{PROBLEM_UPSTREAM_TRUNCATED, 502, SERVER, "upstream_truncated", "backend_error", 0},
	{PROBLEM_UPSTREAM_STALLED, 504, SERVER, "upstream_truncated", "timeout", 0},
};

static void rows_are_as_documented(void)
{
	is_u64(ARRAY_SIZE(rows), N_PROBLEMS, "every problem is in this table");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct problem_row *row = problem_row(rows[i].problem);

		is_u64(rows[i].problem, i, "%s: in the order of the table", rows[i].code);
		is_u64(row->status, rows[i].status, "%s: status", rows[i].code);
		is_text(row->type, rows[i].type, "%s: type", rows[i].code);
		is_text(row->code, rows[i].code, "%s: code", rows[i].code);
		is_text(error_type_name(row->error_type), rows[i].error_type, "%s: error_type",
			rows[i].code);
		is_u64(row->flags, rows[i].flags, "%s: flags", rows[i].code);
	}
}

static void envelopes_are_as_openai_writes_them(void)
{
	struct buf out, context;

	buf_init(&out, 4096);
	buf_init(&context, 64);
	ok(buf_append_str(&context, STR_LITERAL("{\"tried\":[]}")) == 0, "a context");
	ok(problem_write(&out, PROBLEM_INVALID_FIELD, "say \"what\"", "model", &context) == 0 &&
		   buf_append(&out, "", 1) == 0,
	   "an envelope is written");
	is_text(out.data,
		"{\"error\":{\"message\":\"say \\\"what\\\"\",\"type\":\"invalid_request_error\","
		"\"param\":\"model\",\"code\":\"invalid_field\",\"context\":{\"tried\":[]}}}",
		"with everything in it");
	buf_clear(&out);
	ok(problem_write(&out, PROBLEM_OVERLOADED, NULL, NULL, NULL) == 0 &&
		   buf_append(&out, "", 1) == 0,
	   "another one");
	is_text(out.data,
		"{\"error\":{\"message\":\"The gateway is out of memory or connections.\","
		"\"type\":\"server_error\",\"param\":null,\"code\":\"overloaded\"}}",
		"with the row's own words");
	buf_clear(&out);
	ok(problem_write_event(&out, PROBLEM_UPSTREAM_STALLED) == 0 && buf_append(&out, "", 1) == 0,
	   "an event");
	is_text(out.data,
		"{\"type\":\"error\",\"code\":\"upstream_truncated\","
		"\"message\":\"The backend stopped sending before the stream was complete.\","
		"\"param\":null,"
		"\"error\":{\"message\":\"The backend stopped sending before the stream was "
		"complete.\",\"type\":\"server_error\",\"param\":null,"
		"\"code\":\"upstream_truncated\"}}",
		"as one of a response, and as an envelope");
	buf_done(&out);
	buf_init(&out, 16);
	ok(problem_write_event(&out, PROBLEM_OVERLOADED) < 0, "nor does it fit into everything");
	ok(problem_write(&out, PROBLEM_OVERLOADED, NULL, NULL, NULL) < 0,
	   "one that does not fit is an error");
	buf_done(&out);
	buf_done(&context);
}

int main(void)
{
	rows_are_as_documented();
	envelopes_are_as_openai_writes_them();
	return tap_done();
}
