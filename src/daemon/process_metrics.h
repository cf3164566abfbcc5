/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process_* families: what the kernel tells of this process, asked whenever somebody looks at
 * the metrics, on whatever thread. What it does not tell, because /proc is not there or, with an
 * old kernel, no descriptor is left to ask with, has no sample then.
 */
#pragma once

#include "base/attr.h"
#include "metrics/registry.h"

struct process_metrics;

/* Registers them. NULL for no memory. */
struct process_metrics *process_metrics_new(struct registry *registry) MUST_CHECK;
/* Nobody may look any more. Accepts NULL, returns NULL. */
struct process_metrics *process_metrics_free(struct process_metrics *metrics);
