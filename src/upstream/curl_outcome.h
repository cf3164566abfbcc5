/* SPDX-License-Identifier: Apache-2.0 */
/* What libcurl's result means for routing. */
#pragma once

#include <stdbool.h>

#include <curl/curl.h>

#include "base/outcome.h"

/* `has_head`: the final head came, so that a lost connection means a truncated answer. */
enum outcome curl_outcome(CURLcode result, bool has_head);
