# SPDX-License-Identifier: Apache-2.0
# One binary per module.
unit_tests = \
	tests/unit/test_address_list \
	tests/unit/test_admin_socket \
	tests/unit/test_attempts \
	tests/unit/test_backend \
	tests/unit/test_breaker \
	tests/unit/test_buf \
	tests/unit/test_bundle \
	tests/unit/test_census \
	tests/unit/test_capacity \
	tests/unit/test_completion_stream \
	tests/unit/test_config \
	tests/unit/test_config_json \
	tests/unit/test_config_load \
	tests/unit/test_config_text \
	tests/unit/test_config_value \
	tests/unit/test_demo \
	tests/unit/test_demo_embedding \
	tests/unit/test_endpoint \
	tests/unit/test_glob \
	tests/unit/test_grammar \
	tests/unit/test_guard \
	tests/unit/test_exemplar \
	tests/unit/test_gzip \
	tests/unit/test_hash \
	tests/unit/test_health_check \
	tests/unit/test_histogram \
	tests/unit/test_history \
	tests/unit/test_jsonscan \
	tests/unit/test_jsonstring \
	tests/unit/test_jsonx \
	tests/unit/test_log \
	tests/unit/test_loop \
	tests/unit/test_mailbox \
	tests/unit/test_map \
	tests/unit/test_model_list \
	tests/unit/test_model_request \
	tests/unit/test_multipart \
	tests/unit/test_negotiate \
	tests/unit/test_openmetrics \
	tests/unit/test_openmetrics_check \
	tests/unit/test_probe \
	tests/unit/test_prober \
	tests/unit/test_problem \
	tests/unit/test_queue \
	tests/unit/test_recording \
	tests/unit/test_provider \
	tests/unit/test_registry \
	tests/unit/test_registry_exact \
	tests/unit/test_resolver \
	tests/unit/test_retry_after \
	tests/unit/test_route_table \
	tests/unit/test_schema \
	tests/unit/test_secrets \
	tests/unit/test_selection \
	tests/unit/test_sse \
	tests/unit/test_stats_json \
	tests/unit/test_statsd \
	tests/unit/test_statsd_lines \
	tests/unit/test_statsd_packets \
	tests/unit/test_statsd_sender \
	tests/unit/test_str \
	tests/unit/test_strategy \
	tests/unit/test_stream \
	tests/unit/test_table \
	tests/unit/test_trace \
	tests/unit/test_transcript \
	tests/unit/test_transfer \
	tests/unit/test_transfer_control \
	tests/unit/test_transfer_pause \
	tests/unit/test_transfer_request \
	tests/unit/test_transfer_supply \
	tests/unit/test_visible
tests_unit_test_breaker_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_monotonic_ns
tests_unit_test_recording_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pthread_mutex_lock
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)

# The judge of expositions, for all programs that make or see some.
exposition_judge = \
	tests/exposition_line.c \
	tests/exposition_line.h \
	tests/openmetrics_check.c \
	tests/openmetrics_check.h
tests_unit_test_openmetrics_SOURCES = tests/unit/test_openmetrics.c $(exposition_judge)
tests_unit_test_openmetrics_check_SOURCES = tests/unit/test_openmetrics_check.c $(exposition_judge)

EXTRA_DIST += \
	tests/recording.h \
	tests/tap.h \
	tests/unit/attempts_bed.h \
	tests/unit/config_files.h \
	tests/unit/config_fixture.h \
	tests/unit/demo_run.h \
	tests/unit/fleet.h \
	tests/unit/prober_bed.h \
	tests/unit/script_server.h \
	tests/unit/scripted_server.h \
	tests/unit/statsd_bed.h \
	tests/unit/transfer_run.h
