# SPDX-License-Identifier: Apache-2.0
# With --enable-fuzzing every target is a libFuzzer program, else it replays its corpus.
fuzz_targets = \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_endpoint \
	tests/fuzz/fuzz_guard \
	tests/fuzz/fuzz_jsonscan \
	tests/fuzz/fuzz_multipart \
	tests/fuzz/fuzz_negotiate \
	tests/fuzz/fuzz_openmetrics \
	tests/fuzz/fuzz_response_head \
	tests/fuzz/fuzz_sse \
	tests/fuzz/fuzz_statsd
EXTRA_DIST += tests/fuzz/replay.c tests/fuzz/corpus

if FUZZING
noinst_PROGRAMS += $(fuzz_targets)
fuzz_main =
fuzz_ldflags = $(NEXUSD_LDFLAGS) -fsanitize=fuzzer
else
check_PROGRAMS += $(fuzz_targets)
TESTS += $(fuzz_targets)
fuzz_main = tests/fuzz/replay.c
fuzz_ldflags = $(AM_LDFLAGS)
endif

tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c $(fuzz_main)
tests_fuzz_fuzz_config_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_endpoint_SOURCES = tests/fuzz/fuzz_endpoint.c $(fuzz_main)
tests_fuzz_fuzz_endpoint_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_guard_SOURCES = tests/fuzz/fuzz_guard.c $(fuzz_main)
tests_fuzz_fuzz_guard_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_jsonscan_SOURCES = tests/fuzz/fuzz_jsonscan.c $(fuzz_main)
tests_fuzz_fuzz_jsonscan_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_multipart_SOURCES = tests/fuzz/fuzz_multipart.c $(fuzz_main)
tests_fuzz_fuzz_multipart_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_negotiate_SOURCES = tests/fuzz/fuzz_negotiate.c $(fuzz_main)
tests_fuzz_fuzz_negotiate_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_openmetrics_SOURCES = tests/fuzz/fuzz_openmetrics.c $(exposition_judge) $(fuzz_main)
tests_fuzz_fuzz_openmetrics_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_response_head_SOURCES = tests/fuzz/fuzz_response_head.c $(fuzz_main)
tests_fuzz_fuzz_response_head_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_sse_SOURCES = tests/fuzz/fuzz_sse.c $(fuzz_main)
tests_fuzz_fuzz_sse_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_statsd_SOURCES = tests/fuzz/fuzz_statsd.c $(fuzz_main)
tests_fuzz_fuzz_statsd_LDFLAGS = $(fuzz_ldflags)
