# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/export/decimal.c \
	src/export/decimal.h \
	src/export/gzip.c \
	src/export/gzip.h \
	src/export/history.c \
	src/export/history.h \
	src/export/negotiate.c \
	src/export/negotiate.h \
	src/export/openmetrics.c \
	src/export/openmetrics.h \
	src/export/selection.c \
	src/export/selection.h \
	src/export/statsd.c \
	src/export/statsd.h \
	src/export/statsd_dialect.c \
	src/export/statsd_dialect.h \
	src/export/statsd_ledger.c \
	src/export/statsd_ledger.h \
	src/export/statsd_lines.c \
	src/export/statsd_lines.h \
	src/export/statsd_packets.c \
	src/export/statsd_packets.h \
	src/export/statsd_sender.c \
	src/export/statsd_sender.h \
	src/export/statsd_socket.c \
	src/export/statsd_socket.h \
	src/export/statsd_target.c \
	src/export/statsd_target.h \
	src/export/totals.c \
	src/export/totals.h
