# SPDX-License-Identifier: Apache-2.0
# Real clients and judges; scripts/check runs them, make check does not.
EXTRA_DIST += tests/interop
