/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The route table in force as seen from outside the workers, and the gauges read from it when
 * somebody looks at the metrics (on whatever thread). The main thread sets it.
 */
#pragma once

#include "base/attr.h"
#include "metrics/registry.h"
#include "route/route_table.h"

struct fleet;

/* Registers the gauges with the registry. NULL for no memory. */
struct fleet *fleet_new(struct registry *registry, uint64_t started_ns) MUST_CHECK;
/* Nobody may look any more. Accepts NULL, returns NULL. */
struct fleet *fleet_free(struct fleet *fleet);
/* Takes a reference. */
void fleet_set(struct fleet *fleet, struct route_table *table);
/* The backends that left with an earlier table, while requests that began with that one may run
 * there, and those drained at an address that their host no longer has: borrowed, until the next
 * fleet_set(); NULL behind the last. Main thread. */
struct backend *fleet_leaving(const struct fleet *fleet, size_t i);
/* Among them is this one, too, drained at an address that another process saw its host lose. Takes
 * a reference; without memory it does not. Main thread. */
void fleet_remember(struct fleet *fleet, struct backend *backend);
