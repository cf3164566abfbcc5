/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration while it is put together from its files, the environment and what is built in. */
#pragma once

#include "base/attr.h"
#include "base/buf.h"
#include "config/config.h"
#include "config/schema.h"

struct config_draft {
	struct config *config; /* owned until taken */
	struct buf *error;     /* the caller's: where the one line goes */
	/* Where each option of SCOPE_ROOT was set last; all zero: nowhere yet. */
	struct config_origin given[SCHEMA_COUNT];
	char *variables[SCHEMA_COUNT]; /* owned: of those in the environment the names for it */
};

/* All defaults, no listeners and backends yet. -ENOMEM */
int config_draft_init(struct config_draft *draft, struct buf *error) MUST_CHECK;
/* Accepts a draft whose configuration was taken. */
void config_draft_done(struct config_draft *draft);

/* Keeps the name of a source for as long as the configuration lives, for origins to point to. */
int config_draft_name(struct config_draft *draft, const char *name,
		      const char **ret_name) MUST_CHECK;
/* Built-in listeners and backends where no source has any, then the check of the whole. */
int config_draft_complete(struct config_draft *draft) MUST_CHECK;
/* Hands the configuration over, with one reference. */
struct config *config_draft_take(struct config_draft *draft) MUST_CHECK;
