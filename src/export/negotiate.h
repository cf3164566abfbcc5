/* SPDX-License-Identifier: Apache-2.0 */
/* Content negotiation by RFC 9110 section 12: which exposition an Accept header asks for. */
#pragma once

#include "export/openmetrics.h"

/* An absent or unsatisfiable Accept gives classic, never an error. */
enum exposition negotiate_exposition(struct str accept);
