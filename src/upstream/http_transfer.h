/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transfer over HTTP with the libcurl handle it is made with: born once, used for one request
 * after the other. What never changes is set at birth, the rest by http_transfer_prepare().
 * transport_http.c runs it. Owned by the client's pool or by the request it serves; loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/attr.h"
#include "loop/loop.h"
#include "upstream/multi.h"
#include "upstream/request_headers.h"
#include "upstream/response_head.h"
#include "upstream/transport.h"

struct client;

struct http_transfer {
	struct transfer base;
	struct client *client;
	CURL *easy;
	CURLU *url; /* url_text parsed: handles mostly meet the same target again */
	char *url_text;
	struct curl_slist *connect_to; /* what makes libcurl connect to address_text */
	char *address_text;            /* NULL: to any address of the host */
	struct list node;              /* of the pool while idle */

	struct multi_task task;
	struct timer deadline; /* when to look whether one has passed */
	uint64_t start_ns, heard_ns, first_byte_timeout_ns, idle_timeout_ns;
	uint64_t asked_ns;    /* when the last of the request was handed to libcurl */
	uint64_t answered_ns; /* when the final head was there; 0: it is not */
	ssize_t (*supply)(void *context, char *out, size_t room); /* of the body; or NULL */
	int64_t owed_bytes; /* of what is supplied, else all; below 0: nobody knows how much */

	struct request_headers request;
	struct response_head head;
	uint64_t received_bytes;

	/* Why nexusd itself ended it; OK while libcurl's result counts. */
	enum outcome failure;
	const char *failure_text;

	bool added;      /* libcurl has it */
	bool requested;  /* the request was sent, or as good as */
	bool resent;     /* libcurl was about to send it again */
	bool lacks_file; /* nexusd has no descriptor for its connection */
	bool made_room;  /* and has begun it again, others' idle ones being closed for it */
	bool body_begun;
	bool paused;    /* the user wants no data */
	bool held;      /* libcurl holds data back, and must be told to go on */
	bool starved;   /* libcurl waits for more of the body */
	bool fed;       /* there is some, and it must be told so */
	bool sent;      /* libcurl was handed the end of the body */
	bool cancelled; /* inside libcurl: the task ends it, no event comes any more */
	bool own_ca;    /* the handle's trust is a target's ca_file */
	char error[CURL_ERROR_SIZE];
};

/* NULL for no memory. */
struct http_transfer *http_transfer_new(struct client *client) MUST_CHECK;
/* It must not be under way. Accepts NULL, returns NULL. */
struct http_transfer *http_transfer_free(struct http_transfer *t);
/* Sets it up for one request. -ENOMEM. */
int http_transfer_prepare(struct http_transfer *t,
			  const struct transfer_request *request) MUST_CHECK;
/* What is known of the request under way; nothing before libcurl has it. */
void http_transfer_trace(const struct http_transfer *t, struct transfer_trace *ret_trace);
/* Forgets the request, the secrets in it first of all. */
void http_transfer_clear(struct http_transfer *t);
