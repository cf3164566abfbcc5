/* SPDX-License-Identifier: Apache-2.0 */
/* Content negotiation by RFC 9110 section 12. */
#pragma once

#include <stdbool.h>

#include "export/openmetrics.h"

/* An absent or unsatisfiable Accept gives classic, never an error. */
enum exposition negotiate_exposition(struct str accept);
/* Whether Accept-Encoding names gzip and likes it no less than the bytes as they are. */
bool negotiate_gzip(struct str accept_encoding);
