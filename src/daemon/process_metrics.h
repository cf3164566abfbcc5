/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process_* families: what the kernel tells of this process, asked whenever somebody looks at
 * the metrics, on whatever thread. What it does not tell, because no descriptor is left to ask with
 * or /proc is not there, has no sample then.
 */
#pragma once

#include "base/attr.h"
#include "metrics/registry.h"

/* Registers them. -ENOMEM. */
int process_metrics_provide(struct registry *registry) MUST_CHECK;
