/* SPDX-License-Identifier: Apache-2.0 */
#include "base/version.h"

#include "config.h"

const char version_text[] = PACKAGE_VERSION;
const char revision_text[] = NEXUSD_REVISION;
