# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/health/health_check.c \
	src/health/health_check.h \
	src/health/model_list.c \
	src/health/model_list.h \
	src/health/probe.c \
	src/health/probe.h \
	src/health/prober.c \
	src/health/prober.h
