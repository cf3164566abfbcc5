# SPDX-License-Identifier: Apache-2.0
# The real nexusd against fake backends, over loopback.
system_tests = tests/system/run
if HAVE_PYTHON3
TESTS += $(system_tests)
endif
EXTRA_DIST += tests/system
