/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running nexusd, asked over HTTP: at its admin socket or, with --url, somewhere in the
 * network. One connection that is kept.
 */
#pragma once

#include "base/attr.h"
#include "ctl/response.h"

struct gateway;
struct json_object;

/* When the phases of a request ended, in ns since its beginning; 0: they did not. */
struct gateway_times {
	uint64_t connected_ns, sent_ns, head_ns, total_ns;
};

struct gateway_request {
	const char *method, *path;
	const char *body;    /* JSON; or NULL */
	const char *missing; /* what to say when nexusd knows no such thing; NULL: its own words */
	/* Pieces of a good answer as they come, instead of the body; false stops it. Or NULL. */
	bool (*piece)(void *context, struct str bytes);
	/* A header of the answer; or NULL. */
	void (*header)(void *context, struct str name, struct str value);
	void *context;
	uint64_t timeout_ns; /* of all of it; 0: none */
};

/* NULL when there is none, and then `answer` says why. */
struct gateway *gateway_new(const struct ctl *ctl, struct response *answer) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct gateway *gateway_free(struct gateway *gateway);
/* Where it is, for people. */
const char *gateway_place(const struct gateway *gateway);
/* Fills `answer`, whose body is emptied before; returns its status. */
int gateway_ask(struct gateway *gateway, const struct gateway_request *request,
		struct response *answer);
/* The answer was good, but is no JSON. */
void gateway_fail_json(const struct gateway *gateway, struct response *answer);
void gateway_last_times(const struct gateway *gateway, struct gateway_times *ret_times);

/* All at once, for most commands: the document of the answer, which the caller frees. An error is
 * said. The exit status. The request's time is bounded by it. */
int gateway_fetch(const struct ctl *ctl, struct gateway_request request,
		  struct json_object **ret_document) MUST_CHECK;
int gateway_get(const struct ctl *ctl, const char *path,
		struct json_object **ret_document) MUST_CHECK;
