/* SPDX-License-Identifier: Apache-2.0 */
/* What libcurl, the multi and the loop call of the transport over HTTP. */
#pragma once

#include "loop/loop.h"
#include "upstream/multi.h"

extern const struct multi_events transport_http_multi_events;

/* Callbacks of libcurl; the context is the struct http_transfer. */
size_t transport_http_on_header(char *line, size_t size, size_t n, void *context);
size_t transport_http_on_body(char *bytes, size_t size, size_t n, void *context);
size_t transport_http_on_read(char *out, size_t size, size_t n, void *context);
int transport_http_on_request(void *context, char *remote_ip, char *local_ip, int remote_port,
			      int local_port);
void transport_http_on_task(struct multi_task *task);
void transport_http_on_deadline(struct timer *timer);
