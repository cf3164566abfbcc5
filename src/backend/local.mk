# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/backend/backend.c \
	src/backend/backend.h \
	src/backend/backends.c \
	src/backend/backends.h \
	src/backend/breaker.c \
	src/backend/breaker.h
