/* SPDX-License-Identifier: Apache-2.0 */
/* The version of nexusd, such as "0.1.0"; the one place that asks configure for it. */
#pragma once

extern const char version_text[];
