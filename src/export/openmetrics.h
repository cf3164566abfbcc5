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
const char *openmetrics_content_type(enum exposition format);
