/* SPDX-License-Identifier: Apache-2.0 */
/* What a Content-Type says, parameters aside. */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* application/json or anything that ends in +json; no type at all is taken for JSON, too. */
bool media_is_json(struct str content_type);
bool media_is_event_stream(struct str content_type);
bool media_is_form(struct str content_type); /* multipart/form-data */
