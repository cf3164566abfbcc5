/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running nexusd, asked over HTTP: at its admin socket or, with --url, somewhere in the
 * network. One connection that is kept.
 */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "ctl/ctl.h"

struct gateway;
struct json_object;

/* How it went. */
struct answer {
	int status;       /* CTL_OK for any 2xx, else CTL_FAILED or CTL_UNREACHABLE */
	unsigned http;    /* 0 when there was no answer */
	struct buf body;  /* initialised by gateway_new()'s user with answer_init() */
	char error[1024]; /* what to say, unless CTL_OK */
};

/* When the phases of a request ended, in ns since its beginning; 0: they did not. */
struct gateway_times {
	uint64_t connected_ns, sent_ns, head_ns, total_ns;
};

struct gateway_request {
	const char *method, *path;
	const char *body; /* JSON; or NULL */
	/* Pieces of a good answer as they come, instead of the body; false stops it. Or NULL. */
	bool (*piece)(void *context, struct str bytes);
	/* A header of the answer; or NULL. */
	void (*header)(void *context, struct str name, struct str value);
	void *context;
	uint64_t timeout_ns; /* of all of it; 0: none */
};

void answer_init(struct answer *answer);
void answer_done(struct answer *answer);

/* NULL when there is none, and then `answer` says why. */
struct gateway *gateway_new(const struct ctl *ctl, struct answer *answer) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct gateway *gateway_free(struct gateway *gateway);
/* Where it is, for people. */
const char *gateway_place(const struct gateway *gateway);
/* Fills `answer`, whose body is emptied before; returns its status. */
int gateway_ask(struct gateway *gateway, const struct gateway_request *request,
		struct answer *answer);
/* The answer was good, but is no JSON. */
void gateway_fail_json(const struct gateway *gateway, struct answer *answer);
void gateway_last_times(const struct gateway *gateway, struct gateway_times *ret_times);

/* All at once, for most commands: the document of the answer, which the caller frees. An error is
 * said. The exit status. */
int gateway_fetch(const struct ctl *ctl, const char *method, const char *path, const char *body,
		  struct json_object **ret_document) MUST_CHECK;
