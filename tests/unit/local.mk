# SPDX-License-Identifier: Apache-2.0
# One binary per module.
unit_tests = \
	tests/unit/test_attempts \
	tests/unit/test_backend \
	tests/unit/test_buf \
	tests/unit/test_bundle \
	tests/unit/test_config \
	tests/unit/test_hash \
	tests/unit/test_histogram \
	tests/unit/test_jsonscan \
	tests/unit/test_jsonstring \
	tests/unit/test_jsonx \
	tests/unit/test_log \
	tests/unit/test_map \
	tests/unit/test_model_list \
	tests/unit/test_negotiate \
	tests/unit/test_openmetrics \
	tests/unit/test_registry \
	tests/unit/test_route_table \
	tests/unit/test_sse \
	tests/unit/test_str \
	tests/unit/test_strategy
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
EXTRA_DIST += \
	tests/tap.h \
	tests/unit/fleet.h
