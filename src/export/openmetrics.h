/* SPDX-License-Identifier: Apache-2.0 */
/* The registry as text: classic Prometheus 0.0.4 and OpenMetrics 1.0. Sample lines are the same. */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "metrics/registry.h"

enum exposition { EXPOSITION_CLASSIC, EXPOSITION_OPENMETRICS };

struct openmetrics_options {
	enum exposition format;
	const bool *only; /* by metric: the families to render; NULL for all */
};

/* Appends a whole rendering. -ENOMEM, -EMSGSIZE of the buffer; it then holds garbage. */
int openmetrics_render(struct registry *registry, const struct openmetrics_options *options,
		       struct buf *out) MUST_CHECK;

/* A rendering that is made piece by piece, so that nobody waits for all of it. Owned by its user,
 * one thread; the registry outlives it. */
struct openmetrics;

/* NULL for no memory. `options` are copied. */
struct openmetrics *openmetrics_new(struct registry *registry,
				    const struct openmetrics_options *options) MUST_CHECK;
/* Appends `piece_bytes` of it, or little more. 1: there is more; 0: that was the last; and errors
 * as above. */
int openmetrics_next(struct openmetrics *openmetrics, struct buf *out,
		     size_t piece_bytes) MUST_CHECK;
/* Accepts NULL, returns NULL. */
struct openmetrics *openmetrics_free(struct openmetrics *openmetrics);
const char *openmetrics_content_type(enum exposition format);
