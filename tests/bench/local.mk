# SPDX-License-Identifier: Apache-2.0
# Benchmarks are programs a person runs: nothing here is part of make check.
bench_programs = \
	tests/bench/registry \
	tests/bench/route \
	tests/bench/load \
	tests/bench/mock
EXTRA_PROGRAMS += $(bench_programs)
CLEANFILES += $(bench_programs) bench.json
EXTRA_DIST += \
	tests/bench/README.md \
	tests/bench/bench_programs.py \
	tests/bench/bench_table.py \
	tests/bench/metrics \
	tests/bench/nginx.conf.in \
	tests/bench/quick

tests_bench_registry_SOURCES = \
	tests/bench/registry.c
tests_bench_route_SOURCES = \
	tests/bench/route.c
tests_bench_load_SOURCES = \
	tests/bench/load.c \
	tests/bench/load_client.c \
	tests/bench/load_client.h \
	tests/bench/load_idle.c \
	tests/bench/load_mode.h \
	tests/bench/load_paced.c \
	tests/bench/load_streams.c \
	tests/bench/bench_histogram.c \
	tests/bench/bench_histogram.h \
	tests/bench/bench_http.c \
	tests/bench/bench_http.h \
	tests/bench/bench_socket.c \
	tests/bench/bench_socket.h
tests_bench_mock_SOURCES = \
	tests/bench/mock.c \
	tests/bench/mock_reply.c \
	tests/bench/mock_reply.h \
	tests/bench/bench_http.c \
	tests/bench/bench_http.h \
	tests/bench/bench_socket.c \
	tests/bench/bench_socket.h

bench-quick: all $(bench_programs)
	NEXUSD='$(abs_top_builddir)/nexusd' NEXUSD_BUILD='$(abs_top_builddir)' \
		'$(srcdir)/tests/bench/quick'

bench-metrics: all $(bench_programs)
	NEXUSD='$(abs_top_builddir)/nexusd' NEXUSD_BUILD='$(abs_top_builddir)' \
		'$(srcdir)/tests/bench/metrics'

bench-route: tests/bench/route
	tests/bench/route

.PHONY: bench-quick bench-metrics bench-route
