/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in for a call that can fail, as a row. */
#pragma once

#include <errno.h>

#include "tests/faults/faults.h"

/* What it returns when it fails, and the errno. */
#define CALL(type, name, parameters, arguments, failed, error) \
	type __real_##name parameters;                         \
	type __wrap_##name parameters;                         \
	type __wrap_##name parameters                          \
	{                                                      \
		if (!faults_due(#name))                        \
			return __real_##name arguments;        \
		errno = (error);                               \
		return (failed);                               \
	}
