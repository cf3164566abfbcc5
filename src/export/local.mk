# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/export/decimal.c \
	src/export/decimal.h \
	src/export/history.c \
	src/export/history.h \
	src/export/negotiate.c \
	src/export/negotiate.h \
	src/export/openmetrics.c \
	src/export/openmetrics.h \
	src/export/totals.c \
	src/export/totals.h
