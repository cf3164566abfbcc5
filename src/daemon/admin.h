/* SPDX-License-Identifier: Apache-2.0 */
/* What the main thread answers to the admin face. Main thread only. */
#pragma once

#include "api/control.h"

/* struct control's answer(), of the control in struct daemon. */
void admin_answer(struct control *control, struct control_call *call);
