# SPDX-License-Identifier: Apache-2.0
# The real nexusd against fake backends, over loopback.
system_tests = tests/system/run
if HAVE_PYTHON3
TESTS += $(system_tests)
check_PROGRAMS += \
	tests/system/gated_nexusd \
	tests/system/named_nexusd \
	tests/system/openmetrics_judge \
	tests/system/translated_nexusctl \
	tests/system/translated_nexusd
built_translations = $(AM_CPPFLAGS) -DLOCALEDIR='"$(abs_top_builddir)/tests/locale"'
tests_system_translated_nexusctl_SOURCES = src/nexusctl.c
tests_system_translated_nexusctl_CPPFLAGS = $(built_translations)
tests_system_translated_nexusd_SOURCES = src/main.c
tests_system_translated_nexusd_CPPFLAGS = $(built_translations)
tests_system_openmetrics_judge_SOURCES = tests/system/openmetrics_judge.c $(exposition_judge)
tests_system_named_nexusd_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=getaddrinfo
endif
EXTRA_DIST += \
	tests/system/certificates.py \
	tests/system/crowd.py \
	tests/system/ctl_run.py \
	tests/system/exposition_judge.py \
	tests/system/fake_answers.py \
	tests/system/fake_backend.py \
	tests/system/fake_faults.py \
	tests/system/fake_media.py \
	tests/system/fake_process.py \
	tests/system/fake_wire.py \
	tests/system/framing_cases.py \
	tests/system/harness.py \
	tests/system/http_client.py \
	tests/system/load.py \
	tests/system/prometheus_text.py \
	tests/system/run \
	tests/system/run_all.py \
	tests/system/service_manager.py \
	tests/system/stats_check.py \
	tests/system/stats_schema.py \
	tests/system/statsd_receivers.py \
	tests/system/steady.py \
	tests/system/tap.py \
	tests/system/test_addresses.py \
	tests/system/test_admin.py \
	tests/system/test_breaker.py \
	tests/system/test_cancel.py \
	tests/system/test_capacity.py \
	tests/system/test_cardinality.py \
	tests/system/test_change.py \
	tests/system/test_choices.py \
	tests/system/test_connections.py \
	tests/system/test_crowd.py \
	tests/system/test_cors.py \
	tests/system/test_drain.py \
	tests/system/test_errors.py \
	tests/system/test_exact.py \
	tests/system/test_exposition.py \
	tests/system/test_failing_calls.py \
	tests/system/test_failover.py \
	tests/system/test_faults.py \
	tests/system/test_form.py \
	tests/system/test_framing.py \
	tests/system/test_gauges.py \
	tests/system/test_handover.py \
	tests/system/test_health.py \
	tests/system/test_hostile.py \
	tests/system/test_http_1_0.py \
	tests/system/test_journal.py \
	tests/system/test_language.py \
	tests/system/test_listener_tls.py \
	tests/system/test_listeners.py \
	tests/system/test_manager.py \
	tests/system/test_manual.py \
	tests/system/test_memory.py \
	tests/system/test_metrics.py \
	tests/system/test_operator_files.py \
	tests/system/test_passed.py \
	tests/system/test_queue.py \
	tests/system/test_rate_limited.py \
	tests/system/test_recording.py \
	tests/system/test_nexusctl.py \
	tests/system/test_nexusctl_tty.py \
	tests/system/test_policies.py \
	tests/system/test_relay.py \
	tests/system/test_request_log.py \
	tests/system/test_routes.py \
	tests/system/test_scarcity.py \
	tests/system/test_service.py \
	tests/system/test_soak.py \
	tests/system/test_starved.py \
	tests/system/test_stats.py \
	tests/system/test_statsd.py \
	tests/system/test_strategies.py \
	tests/system/test_stream.py \
	tests/system/test_succession.py \
	tests/system/test_tls.py \
	tests/system/test_tools.py \
	tests/system/test_upload.py \
	tests/system/test_wait.py
