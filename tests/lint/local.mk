# SPDX-License-Identifier: Apache-2.0
lint_tests = tests/lint/layers.py tests/lint/banned.py tests/lint/style.py tests/lint/documented.py \
	tests/lint/generated.py tests/lint/messages.py tests/lint/packaging.py \
	tests/lint/translated.py
if HAVE_PYTHON3
TESTS += $(lint_tests)
endif
EXTRA_DIST += $(lint_tests) tests/lint/tap.py
