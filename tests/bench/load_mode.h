/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator's modes: each runs to its end and leaves its figures in the client. */
#pragma once

#include "load_client.h"

/* Plain requests for options->duration_ns: as fast as the answers come (closed loop), or at a fixed
 * rate with latencies counted from when each request was *due*, so that a server that stalls cannot
 * hide it by holding up the requests that would have shown it. */
int load_paced_run(const struct load_options *options, struct load_client *client) MUST_CHECK;

/* One stream on each connection, at once; every frame is checked for its place and its stream. The
 * latency is the time to the first frame. A stream not whole after options->duration_ns is an
 * error. */
int load_streams_run(const struct load_options *options, struct load_client *client) MUST_CHECK;

/* Opens all connections, prints "ready", holds them until a line or the end of standard input
 * comes; those that the server has closed by then are errors. */
int load_idle_run(const struct load_options *options, struct load_client *client) MUST_CHECK;
