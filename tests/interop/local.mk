# SPDX-License-Identifier: Apache-2.0
# Real clients and judges; scripts/check runs them, make check does not.
EXTRA_DIST += \
	tests/interop/.npmrc \
	tests/interop/alerts.py \
	tests/interop/differential.py \
	tests/interop/equality.py \
	tests/interop/interop.py \
	tests/interop/judges.py \
	tests/interop/package-lock.json \
	tests/interop/package.json \
	tests/interop/prometheus.py \
	tests/interop/receivers.py \
	tests/interop/run \
	tests/interop/sdk.mjs
