/* SPDX-License-Identifier: Apache-2.0 */
/* What was built; the one place that asks configure for it. */
#pragma once

extern const char version_text[];  /* "0.1.0" */
extern const char revision_text[]; /* the commit, or "release" outside a repository */
